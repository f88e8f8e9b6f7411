// The API's typed client, for commands and screens. Knows nothing of how a daemon is started; `find-daemon.ts` does.
import { type IncomingMessage, request } from "node:http";
import type { BlockedPort, DownLine, ErrorBody, LogLine, LogQuery, Ping } from "./messages.ts";
import { readNdjson } from "./ndjson.ts";
import { Problem, type ProblemCode, problemCodes } from "./problem.ts";
import type { StatusView } from "./view.ts";

/** A daemon that is alive answers within milliseconds; one that does not within this is replaced. */
export const pingTimeoutMs = 2_000;
const callTimeoutMs = 10_000;
const bodyBytesMax = 64 * 1024 * 1024;
const lineBytesMax = 16 * 1024 * 1024;

/** Every method throws Problem: DM0201 when nothing listens or nothing answers in time, else what the daemon says. */
export interface ApiClient {
  ping(timeoutMs?: number): Promise<Ping>;
  /** `recountMs`: how long what went past the proxies may be counted anew before the answer; else it is as last counted. */
  status(options?: { readonly recountMs?: number }): Promise<StatusView>;
  /** The status now and after each change, at most four a second. */
  stream(signal?: AbortSignal): AsyncIterable<StatusView>;
  /** Until all wanted sidecars and gateways are ready and in sync. Throws DM0301 with what is missing. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<StatusView>;
  logs(query: LogQuery, signal?: AbortSignal): AsyncIterable<LogLine>;
  reload(): Promise<StatusView>;
  /** Of containers that could not be started for it. */
  blockedPorts(): Promise<readonly BlockedPort[]>;
  /** Has begun when it resolves; `wait` waits for its end. */
  renew(): Promise<StatusView>;
  /** Ends after `done` or `problem`. */
  down(): AsyncIterable<DownLine>;
  metrics(): Promise<string>;
}

interface Call {
  readonly method?: "GET" | "POST";
  readonly path: string;
  /** Until the head of the answer; 0: no limit. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export function connectApi(socketPath: string): ApiClient {
  const send = (call: Call): Promise<IncomingMessage> => open(socketPath, call);
  const json = async <T>(call: Call): Promise<T> => JSON.parse(await textOf(await send(call))) as T;
  return {
    ping: (timeoutMs = pingTimeoutMs) => json<Ping>({ path: "/v1/ping", timeoutMs }),
    status: ({ recountMs } = {}) =>
      recountMs === undefined
        ? json<StatusView>({ path: "/v1/status" })
        : json<StatusView>({ path: `/v1/status?recountMs=${recountMs}`, timeoutMs: recountMs + callTimeoutMs }),
    stream: (signal) => lines<StatusView>(send, { path: "/v1/stream", signal }),
    wait: (timeoutMs, signal) =>
      json<StatusView>({ path: `/v1/wait?timeoutMs=${timeoutMs}`, timeoutMs: timeoutMs + callTimeoutMs, signal }),
    logs: (query, signal) => lines<LogLine>(send, { path: `/v1/logs?${logSearch(query)}`, signal }),
    reload: () => json<StatusView>({ method: "POST", path: "/v1/reload" }),
    renew: () => json<StatusView>({ method: "POST", path: "/v1/renew" }),
    blockedPorts: () => json<readonly BlockedPort[]>({ path: "/v1/blocked-ports" }),
    down: () => lines<DownLine>(send, { method: "POST", path: "/v1/down" }),
    metrics: async () => textOf(await send({ path: "/metrics" })),
  };
}

function logSearch({ service, isFollowed, tail, since }: LogQuery): URLSearchParams {
  const search = new URLSearchParams();
  if (service !== null) search.set("service", service);
  if (isFollowed) search.set("follow", "1");
  if (tail !== null) search.set("tail", String(tail));
  if (since !== null) search.set("since", since);
  return search;
}

/** Resolves with a 2xx answer whose body is still to come. */
async function open(socketPath: string, call: Call): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const { method = "GET", path, timeoutMs = callTimeoutMs, signal } = call;
  const sent = request({ socketPath, method, path, agent: false, ...(signal === undefined ? {} : { signal }) });
  const timer =
    timeoutMs === 0
      ? null
      : setTimeout(() => {
          reject(new Problem("DM0201", "the daemon does not answer", "devmesh up replaces it"));
          sent.destroy();
        }, timeoutMs);
  sent.on("response", resolve);
  sent.on("error", (error) => reject(signal?.aborted === true ? error : unreachable(error)));
  sent.end();
  try {
    const response = await promise;
    if ((response.statusCode ?? 500) < 300) return response;
    throw problemOf(await textOf(response));
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

function unreachable(error: NodeJS.ErrnoException): Problem {
  const isAbsent = error.code === "ENOENT" || error.code === "ECONNREFUSED";
  const why = isAbsent ? "no devmesh daemon runs for this project" : `the daemon cannot be reached: ${error.message}`;
  return new Problem("DM0201", why, "start it with devmesh up");
}

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of response) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > bodyBytesMax) throw new Problem("DM0001", "the daemon's answer is too long");
    }
  } catch (error) {
    throw error instanceof Problem ? error : unreachable(error as NodeJS.ErrnoException);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** Ends quietly when the caller aborts; a last line `{error}` is thrown as the Problem that it is. */
async function* lines<T>(send: (call: Call) => Promise<IncomingMessage>, call: Call): AsyncGenerator<T> {
  let response: IncomingMessage | null = null;
  try {
    response = await send(call);
    for await (const value of readNdjson(response, lineBytesMax)) {
      if (value !== null && typeof value === "object" && "error" in value) {
        throw problemOf(JSON.stringify(value.error));
      }
      yield value as T;
    }
  } catch (error) {
    if (call.signal?.aborted === true) return;
    throw error instanceof Problem ? error : unreachable(error as NodeJS.ErrnoException);
  } finally {
    response?.destroy();
  }
}

function problemOf(text: string): Problem {
  try {
    const { code, message, hint } = JSON.parse(text) as Partial<ErrorBody>;
    return new Problem(isProblemCode(code) ? code : "DM0001", message ?? text, hint ?? "");
  } catch {
    return new Problem("DM0001", `the daemon answered: ${text.slice(0, 200)}`);
  }
}

function isProblemCode(code: string | undefined): code is ProblemCode {
  return code !== undefined && Object.hasOwn(problemCodes, code);
}
