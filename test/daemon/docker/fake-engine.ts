// An HTTP server on a unix socket that plays Docker's API as far as a test says: slow, silent, broken, gone.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface FakeEngine {
  readonly env: { readonly DOCKER_HOST: string };
  /** Path and query of every request, oldest first. */
  readonly requests: URL[];
  readonly path: string;
  /** Cuts every connection, as an engine that restarts does. */
  cut(): void;
  close(): Promise<void>;
}

export type Answer = (response: ServerResponse, url: URL, request: IncomingMessage) => void;

export function json(value: unknown, status = 200): Answer {
  return (response) => {
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(JSON.stringify(value));
  };
}

/** `answers` by path without the version; "/version" is there already. */
export async function startFakeEngine(answers: Record<string, Answer>): Promise<FakeEngine> {
  const folder = mkdtempSync(join(tmpdir(), "dm-engine-"));
  const path = join(folder, "docker.sock");
  const sockets = new Set<Socket>();
  const requests: URL[] = [];
  const all: Record<string, Answer> = { "/version": json({ ApiVersion: "1.41", Version: "fake" }), ...answers };
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://engine");
    requests.push(url);
    const answer = all[url.pathname.replace(/^\/v\d+\.\d+/, "")] ?? json({ message: "page not found" }, 404);
    answer(response, url, request);
  });
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.on("upgrade", (_request, socket) => socket.destroy());
  await new Promise<void>((resolve) => server.listen(path, resolve));
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const close = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    cut();
    await closed;
    rmSync(folder, { recursive: true, force: true });
  };
  return { env: { DOCKER_HOST: `unix://${path}` }, requests, path, cut, close };
}
