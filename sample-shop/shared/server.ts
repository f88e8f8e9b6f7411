// A small JSON server on node:http: routes by method and path, bounded bodies, an end that loses no request.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type TraceHeaders, traceOf } from "./trace.ts";

const bodyBytesMax = 64 * 1024;
/** Longer than any client of the shop keeps an idle connection, so that nobody writes into one that just closed. */
const keepAliveTimeoutMs = 65_000;

export interface Call {
  readonly request: IncomingMessage;
  readonly url: URL;
  /** What the path's `:name` parts were. */
  readonly params: Readonly<Record<string, string>>;
  readonly trace: TraceHeaders;
  /** The parsed body; null when there was none. */
  readonly body: unknown;
}

export interface Reply {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly html?: string;
}

export type Handler = (call: Call) => Reply | Promise<Reply>;

/** Keys are a method and a path: `GET /carts/:id`. */
export type Routes = Readonly<Record<string, Handler>>;

export class HttpError extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export class StartedServer {
  readonly port: number;
  readonly #server: Server;

  constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  /** Stops listening, answers what is under way, and resolves when the last connection has ended. */
  async close(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeIdleConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

export async function startServer(port: number, routes: Routes): Promise<StartedServer> {
  const table = Object.entries(routes).map(([key, handler]) => {
    const [method = "", path = ""] = key.split(" ");
    return { method, parts: path.split("/"), handler };
  });
  const server = createServer((request, response) => {
    response.on("error", () => request.destroy());
    answer(table, request)
      .catch(failed)
      .then((reply) => send(server, response, reply))
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  server.keepAliveTimeout = keepAliveTimeoutMs;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  return new StartedServer(server);
}

interface Route {
  readonly method: string;
  readonly parts: readonly string[];
  readonly handler: Handler;
}

async function answer(table: readonly Route[], request: IncomingMessage): Promise<Reply> {
  const url = parseUrl(request.url ?? "/");
  const parts = url.pathname.split("/");
  const matches = table.flatMap((route) => {
    const params = match(route.parts, parts);
    return params === null ? [] : [{ route, params }];
  });
  if (matches.length === 0) throw new HttpError(404, `nothing at ${url.pathname}`);
  const method = request.method === "HEAD" ? "GET" : request.method;
  const found = matches.find(({ route }) => route.method === method);
  if (found === undefined) throw new HttpError(405, `${request.method} is not for ${url.pathname}`);
  const body = await readBody(request);
  return found.route.handler({ request, url, params: found.params, trace: traceOf(request.headers), body });
}

function parseUrl(target: string): URL {
  const url = URL.parse(target, "http://shop");
  if (url === null) throw new HttpError(400, "not a request target");
  return url;
}

function match(pattern: readonly string[], parts: readonly string[]): Record<string, string> | null {
  if (pattern.length !== parts.length) return null;
  const params: Record<string, string> = {};
  for (const [index, wanted] of pattern.entries()) {
    const part = parts[index] ?? "";
    if (wanted.startsWith(":") && part !== "") params[wanted.slice(1)] = part;
    else if (wanted !== part) return null;
  }
  return params;
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) throw new HttpError(413, `a body is at most ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  if (bytes === 0) return null;
  try {
    return JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new HttpError(400, "the body is not JSON");
  }
}

function failed(error: unknown): Reply {
  if (error instanceof HttpError) return { status: error.status, json: { error: error.message } };
  console.error(error);
  return { status: 500, json: { error: "something is broken here; the log has it" } };
}

function send(server: Server, response: ServerResponse, reply: Reply): void {
  const body = Buffer.from(reply.html ?? JSON.stringify(reply.json ?? {}));
  const type = reply.html === undefined ? "application/json" : "text/html; charset=utf-8";
  response.writeHead(reply.status ?? 200, {
    "content-type": type,
    "content-length": body.length,
    // A server that is about to end tells its clients to come back on another connection.
    ...(server.listening ? {} : { connection: "close" }),
    ...reply.headers,
  });
  response.end(response.req.method === "HEAD" ? undefined : body);
}
