// One call to Docker's API as HTTP, over whatever leads to the engine. On node:http itself: dockerode's transport renders every
// request, its agent and all its sockets, for a debug log that is off: two thirds of a quiet daemon's CPU (measured).
import { type Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Duplex, Readable } from "node:stream";

/** A call that names no time of its own. */
const callTimeoutMs = 10_000;
/** Only an answer that came within this tells the time; it does so in whole seconds, */
const promptMs = 1_000;
/** so that less than this is no difference between two clocks. */
const clockToleranceMs = 3_000;
const askClockMs = 2_000;
/** Of one answer; the longest, a list of everything, takes some kilobytes a container. */
const answerBytesMax = 64 * 1024 * 1024;

export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  /** Without the version: "/containers/json". */
  readonly path: string;
  /** What is no string becomes JSON; undefined members are left out. */
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** Until the whole answer (for a stream: its head) is there. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What Docker answered, or why nothing came: `status` is 0 when there was no answer. */
export class EngineError extends Error {
  readonly status: number;
  /** errno's name, "ETIMEDOUT" for our own timeout, or "". */
  readonly code: string;

  constructor(message: string, status: number, code = "") {
    super(message);
    this.name = "EngineError";
    this.status = status;
    this.code = code;
  }
}

export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof EngineError && statuses.includes(error.status);
}

/** Where the engine is: a socket's path, or a host and port; the agent may lead there by other means. */
export interface Place {
  readonly address: { readonly socketPath: string } | { readonly host: string; readonly port?: number };
  readonly isTls: boolean;
  readonly agent: Agent;
}

export class Dialler implements AsyncDisposable {
  readonly #place: Place;
  /** "/v1.41" once it is negotiated. */
  #version = "";
  /** What the engine's wall clock is ahead of this machine's. */
  #clockAheadMs = 0;

  constructor(place: Place) {
    this.#place = place;
  }

  useVersion(version: string): void {
    this.#version = `/v${version}`;
  }

  now(): number {
    return Date.now() + this.#clockAheadMs;
  }

  async readClock(): Promise<number> {
    await this.call({ method: "GET", path: "/_ping", timeoutMs: askClockMs }).catch(() => undefined);
    return this.now();
  }

  /** The parsed JSON, text that is none, or null for an empty answer. Throws EngineError. */
  call(call: Call): Promise<unknown> {
    const askedAt = performance.now();
    return this.#exchange(call, {}, async (answer) => {
      const response = responseOf(answer);
      if (performance.now() - askedAt < promptMs) this.#learnClock(response);
      return parsed(await textOf(response));
    });
  }

  /** An endless answer; the caller destroys it. Throws EngineError. */
  stream(call: Call): Promise<Readable> {
    return this.#exchange(call, {}, responseOf);
  }

  /** A connection taken over after 101 Upgrade; the caller destroys it. Throws EngineError. */
  hijack(call: Call): Promise<Duplex> {
    return this.#exchange(call, { connection: "Upgrade", upgrade: "tcp" }, (answer) => {
      if ("socket" in answer) return answer.socket;
      answer.response.destroy();
      throw new Error("the connection was not upgraded");
    });
  }

  /** Every answer has a Date, since Go's server adds it. */
  #learnClock({ headers }: IncomingMessage): void {
    const ms = Date.parse(headers.date ?? "");
    if (Number.isNaN(ms)) return;
    const aheadMs = ms + 500 - Date.now();
    this.#clockAheadMs = Math.abs(aheadMs) < clockToleranceMs ? 0 : aheadMs;
  }

  dropIdle(): void {
    for (const socket of Object.values(this.#place.agent.freeSockets).flat()) socket?.destroy();
  }

  async close(): Promise<void> {
    this.#place.agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #exchange<T>(
    call: Call,
    headers: Readonly<Record<string, string>>,
    take: (answer: Answer) => T | Promise<T>,
  ): Promise<T> {
    const given = Promise.withResolvers<never>();
    const request = this.#request(call, headers);
    const giveUp = (code: "ETIMEDOUT" | "ABORT_ERR"): void => {
      given.reject(new EngineError(code === "ETIMEDOUT" ? "timed out" : "aborted", 0, code));
      request.destroy();
    };
    const timer = setTimeout(giveUp, call.timeoutMs ?? callTimeoutMs, "ETIMEDOUT");
    const onAbort = (): void => giveUp("ABORT_ERR");
    call.signal?.addEventListener("abort", onAbort, { once: true });
    if (call.signal?.aborted === true) onAbort();
    try {
      return await Promise.race([answerTo(request).then(take), given.promise]);
    } catch (error) {
      throw engineError(error, call);
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", onAbort);
    }
  }

  #request({ method, path, query = {}, body }: Call, headers: Readonly<Record<string, string>>): ClientRequest {
    const { address, isTls, agent } = this.#place;
    const text = body === undefined ? "" : JSON.stringify(body);
    const content = text === "" ? {} : { "content-type": "application/json" };
    const length = method === "POST" ? { "content-length": Buffer.byteLength(text) } : {};
    const send = isTls ? httpsRequest : httpRequest;
    const request = send({
      ...address,
      agent,
      method,
      path: `${this.#version}${path}${queryText(query)}`,
      headers: { ...content, ...length, ...headers },
    });
    request.end(text);
    return request;
  }
}

type Answer = { readonly response: IncomingMessage } | { readonly socket: Duplex };

/** Rejects with what Docker said when it refused. */
async function answerTo(request: ClientRequest): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  // The listeners stay: an error may come long after the answer has begun.
  request.on("error", reject);
  request.on("response", (response) => {
    response.on("error", () => undefined);
    resolve({ response });
  });
  request.on("upgrade", (_response, socket, head) => {
    socket.on("error", () => undefined);
    if (head.length > 0) socket.unshift(head);
    resolve({ socket });
  });
  const answer = await promise;
  if ("socket" in answer) return answer;
  const { statusCode = 0 } = answer.response;
  if ((statusCode >= 200 && statusCode < 300) || statusCode === 304) return answer;
  throw new EngineError(reasonIn(await textOf(answer.response)), statusCode);
}

function responseOf(answer: Answer): IncomingMessage {
  if ("response" in answer) return answer.response;
  answer.socket.destroy();
  throw new Error("the connection was upgraded");
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    chunks.push(chunk as Buffer);
    bytes += (chunk as Buffer).length;
    if (bytes > answerBytesMax) throw new Error("the engine's answer is too long");
  }
  return Buffer.concat(chunks).toString();
}

function parsed(text: string): unknown {
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch {
    return text; // "OK", to a ping.
  }
}

/** Docker's words: {"message":"No such container: x"} */
function reasonIn(text: string): string {
  const value = parsed(text);
  const message = value !== null && typeof value === "object" && "message" in value ? value.message : value;
  return typeof message === "string" ? message.trim() : text;
}

function engineError(error: unknown, { method, path }: Call): EngineError {
  const { message, code = "" } = error as NodeJS.ErrnoException;
  const status = error instanceof EngineError ? error.status : 0;
  return new EngineError(`${method} ${path}: ${message || code}`, status, code);
}

function queryText(query: Readonly<Record<string, unknown>>): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== undefined) search.set(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return search.size === 0 ? "" : `?${search}`;
}
