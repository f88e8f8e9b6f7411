// The daemon's API: HTTP over a unix socket that only its user can open, so it needs no token and looks at no Host.
import { once } from "node:events";
import { chmodSync, renameSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { dirname, join } from "node:path";
import type { BlockedPort, DownLine, ErrorBody, LogLine, LogQuery, Ping } from "./messages.ts";
import { writeNdjson } from "./ndjson.ts";
import { Problem } from "./problem.ts";
import type { StatusView } from "./view.ts";

const connectionsMax = 128;
const bodyBytesMax = 64 * 1024;
/** The stream shows at most this often. */
const streamEveryMs = 250;
const waitMsMax = 3_600_000;
const recountMsMax = 60_000;

/** What the API shows and does; the daemon wires it. */
export interface ApiBackend {
  ping(): Ping;
  status(): StatusView;
  /** The same after all has been counted anew that sidecars count; within `withinMs`, and it says what is missing then. */
  recount(withinMs: number): Promise<StatusView>;
  /** Something that `status` shows may have changed. Returns how to stop listening. */
  onChange(listener: () => void): () => void;
  /** Sidecars and gateways that are wanted but not ready, or not in sync, with the reason; empty when all is there. */
  missing(): readonly string[];
  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine>;
  /** Reads mesh.yaml and lists Docker again; resolves when a round of the loop has followed. */
  reload(): Promise<void>;
  /** Begins to replace proxies of another version, one after the other; `missing` names those that are left. */
  renew(): Promise<void>;
  /** Host ports for whose sake containers could not be started. */
  blockedPorts(): Promise<readonly BlockedPort[]>;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Takes the mesh down, and stops all other work; the process ends afterwards, also when something was left. */
  down(onStep: (text: string) => void): Promise<void>;
}

export interface ApiServerOptions {
  readonly socket: string;
  readonly backend: ApiBackend;
  /** After a `down` whose last line has been sent, however it went. */
  onDown(): void;
  onError(error: unknown, what: string): void;
}

export class ApiServer implements AsyncDisposable {
  readonly #server: Server;
  readonly #options: ApiServerOptions;
  readonly #closing = new AbortController();

  private constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#server = createServer((request, response) => void this.#serve(request, response));
    this.#server.maxConnections = connectionsMax;
    this.#server.on("error", (error) => options.onError(error, "api"));
    this.#server.on("clientError", (_error, socket) => socket.destroy());
  }

  /**
   * The caller holds the project's lock, so a socket that lies there is of a daemon that is dead or ends. It is bound under a
   * name of this process and moved: a server unlinks at its end what it was bound to, which would be its successor's socket.
   */
  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const isPipe = options.socket.startsWith("\\\\");
    const bound = isPipe ? options.socket : join(dirname(options.socket), `${process.pid}.new`);
    if (!isPipe) rmSync(bound, { force: true });
    const api = new ApiServer(options);
    api.#server.listen(bound);
    await once(api.#server, "listening");
    if (!isPipe) {
      chmodSync(bound, 0o600);
      renameSync(bound, options.socket);
    }
    return api;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    request.on("error", () => response.destroy());
    response.on("error", () => response.destroy());
    try {
      const url = new URL(request.url ?? "/", "http://devmesh");
      if ((await drain(request)) > bodyBytesMax) throw new Problem("DM0002", "the request's body is too large");
      await this.#route(`${request.method} ${url.pathname}`, url.searchParams, response);
    } catch (error) {
      if (!(error instanceof Problem)) this.#options.onError(error, `${request.method} ${request.url}`);
      fail(response, error);
    }
  }

  async #route(route: string, query: URLSearchParams, response: ServerResponse): Promise<void> {
    const { backend } = this.#options;
    switch (route) {
      case "GET /v1/ping":
        return json(response, 200, backend.ping());
      case "GET /v1/status":
        return json(response, 200, await this.#status(query.get("recountMs")));
      case "GET /v1/stream":
        return this.#stream(response);
      case "GET /v1/wait":
        return this.#wait(Number(query.get("timeoutMs") ?? "60000"), response);
      case "GET /v1/logs":
        return this.#logs(logQuery(query), response);
      case "POST /v1/reload":
        await backend.reload();
        return json(response, 200, backend.status());
      case "POST /v1/renew":
        await backend.renew();
        return json(response, 200, backend.status());
      case "GET /v1/blocked-ports":
        return json(response, 200, await backend.blockedPorts());
      case "POST /v1/down":
        return this.#down(response);
      case "GET /metrics": {
        const { contentType, text } = await backend.metrics();
        response.writeHead(200, { "content-type": contentType }).end(text);
        return;
      }
      default:
        return json(response, 404, { code: "DM0002", message: `the API has no ${route}`, hint: "" });
    }
  }

  async #status(recountMs: string | null): Promise<StatusView> {
    const { backend } = this.#options;
    if (recountMs === null) return backend.status();
    const withinMs = Number(recountMs);
    if (!(withinMs >= 0 && withinMs <= recountMsMax)) throw new Problem("DM0002", "recountMs is not a time");
    return await backend.recount(withinMs);
  }

  /** The status now and after each change, never more often than four times a second. */
  async #stream(response: ServerResponse): Promise<void> {
    const { backend } = this.#options;
    const signal = this.#endOf(response);
    const changes = new Changes(backend, signal);
    startNdjson(response);
    let shown = "";
    while (!signal.aborted) {
      const text = JSON.stringify(backend.status());
      if (text !== shown) {
        shown = text;
        if (!(await writeNdjson(response, JSON.parse(text)))) return;
      }
      await changes.next(streamEveryMs);
    }
    response.end();
  }

  async #wait(timeoutMs: number, response: ServerResponse): Promise<void> {
    if (!(timeoutMs >= 0 && timeoutMs <= waitMsMax)) throw new Problem("DM0002", "timeoutMs is not a time");
    const { backend } = this.#options;
    const signal = AbortSignal.any([this.#endOf(response), AbortSignal.timeout(timeoutMs)]);
    // What compose has just started may not have been seen yet, and would not be missed.
    await backend.reload();
    const changes = new Changes(backend, signal);
    let missing = backend.missing();
    while (missing.length > 0 && !signal.aborted) {
      await changes.next(0);
      missing = backend.missing();
      if (missing.length > 0) continue;
      // Who serves has just changed: what is made of that, and what is shown, follows in a round.
      await backend.reload();
      missing = backend.missing();
    }
    if (missing.length === 0) return json(response, 200, backend.status());
    const message = `not ready after ${(timeoutMs / 1000).toFixed(1)} s: ${missing.join("; ")}`;
    json(response, 408, { code: "DM0301", message, hint: "devmesh status shows more; devmesh logs shows why" });
  }

  async #logs(query: LogQuery, response: ServerResponse): Promise<void> {
    const signal = this.#endOf(response);
    startNdjson(response);
    for await (const line of this.#options.backend.logs(query, signal)) {
      if (!(await writeNdjson(response, line))) return;
    }
    response.end();
  }

  async #down(response: ServerResponse): Promise<void> {
    const startedAt = performance.now();
    const say = (line: DownLine): void => {
      if (!response.destroyed) response.write(`${JSON.stringify(line)}\n`);
    };
    startNdjson(response);
    try {
      await this.#options.backend.down((text) => say({ t: "step", text, ms: performance.now() - startedAt }));
      say({ t: "done" });
    } catch (error) {
      this.#options.onError(error, "down");
      say({ t: "problem", ...errorBody(error) });
    }
    // The client may be gone already; the mesh is down all the same.
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once("close", resolve);
    response.end(resolve);
    await promise;
    this.#options.onDown();
  }

  #endOf(response: ServerResponse): AbortSignal {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    return AbortSignal.any([gone.signal, this.#closing.signal]);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Turns change events into waits: what changes between two waits ends the second one at once. */
class Changes {
  #isDirty = false;
  #wake: (() => void) | null = null;
  readonly #signal: AbortSignal;

  constructor(backend: ApiBackend, signal: AbortSignal) {
    this.#signal = signal;
    const stop = backend.onChange(() => {
      this.#isDirty = true;
      this.#wake?.();
    });
    signal.addEventListener("abort", () => {
      stop();
      this.#wake?.();
    });
    if (signal.aborted) stop();
  }

  /** Resolves after a change, but not before `pauseMs`; at once when aborted. */
  async next(pauseMs: number): Promise<void> {
    if (pauseMs > 0) await this.#sleep(pauseMs);
    while (!this.#isDirty && !this.#signal.aborted) await this.#sleep(null);
    this.#isDirty = false;
  }

  async #sleep(ms: number | null): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = ms === null ? null : setTimeout(resolve, ms);
    // A pause is cut short by the end alone, an open wait by any change.
    this.#wake = ms === null ? resolve : () => this.#signal.aborted && resolve();
    if (this.#signal.aborted) resolve();
    await promise;
    this.#wake = null;
    if (timer !== null) clearTimeout(timer);
  }
}

async function drain(request: IncomingMessage): Promise<number> {
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes > bodyBytesMax) break;
  }
  return bytes;
}

function logQuery(query: URLSearchParams): LogQuery {
  const tailText = query.get("tail");
  const tail = tailText === null || tailText === "all" ? null : Number(tailText);
  if (tail !== null && !(Number.isInteger(tail) && tail >= 0)) throw new Problem("DM0002", "tail is not a number");
  const follow = query.get("follow");
  return {
    service: query.get("service"),
    isFollowed: follow === "1" || follow === "true",
    tail,
    since: query.get("since"),
  };
}

function startNdjson(response: ServerResponse): void {
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  response.flushHeaders();
}

function json(response: ServerResponse, status: number, value: object): void {
  response.writeHead(status, { "content-type": "application/json" }).end(`${JSON.stringify(value)}\n`);
}

export function errorBody(error: unknown): ErrorBody {
  if (error instanceof Problem) return { code: error.code, message: error.message, hint: error.hint };
  return { code: "DM0001", message: error instanceof Error ? error.message : String(error), hint: "" };
}

/** After the head is out, an error is the stream's last line. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.destroyed) return;
  const body = errorBody(error);
  if (response.headersSent) response.end(`${JSON.stringify({ error: body })}\n`);
  else json(response, body.code === "DM0002" ? 400 : 500, body);
}
