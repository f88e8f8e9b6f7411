// HTTP calls from one service to the next over kept connections, with a deadline.
import { Agent, type IncomingMessage, request } from "node:http";

/** Shorter than any server keeps an idle connection: no request is written into one that is just being closed. */
const idleConnectionMs = 4_000;
const connectionsMax = 128;
const answerBytesMax = 1024 * 1024;

export interface CallOptions {
  readonly method: string;
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly timeoutMs?: number;
}

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The parsed body; null when it is not JSON. */
  readonly json: unknown;
}

export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: connectionsMax, timeout: idleConnectionMs });

  /** Rejects when there is no answer at all; any status is an answer. */
  async call(options: CallOptions): Promise<Answer> {
    const { method, url, headers = {}, body, timeoutMs = 10_000 } = options;
    const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
    const sent = payload === undefined ? {} : { "content-type": "application/json", "content-length": payload.length };
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request(url, { method, agent: this.#agent, headers: { ...headers, ...sent }, signal }, resolve);
      outgoing.on("error", reject);
      outgoing.end(payload);
    });
    const text = await readText(response);
    return { status: response.statusCode ?? 0, headers: response.headers, text, json: parse(text) };
  }

  close(): void {
    this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

async function readText(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error(`an answer of more than ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
