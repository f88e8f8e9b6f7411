// A small HTTP application for tests: says who it is, echoes what it got, and can be slow, fail or upgrade.
// Every answer names the container: x-name is NAME, x-host its host name (the short id).
// GET /?ms=50&status=503&bytes=1000 · GET /?eat=1 takes memory until the kernel ends it · POST anything · Upgrade: echo · NAME and PORT from the environment · PRINT=1 logs requests.
import { createHash } from "node:crypto";
import http from "node:http";
import type { Socket } from "node:net";
import { hostname } from "node:os";

const name = process.env.NAME ?? "echo";
const server = http.createServer((request, response) => {
  const url = new URL(request.url ?? "/", "http://x");
  const hash = createHash("sha256");
  let bytes = 0;
  request.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.on("end", () => {
    if (url.searchParams.has("eat")) eat();
    if (process.env.PRINT !== undefined) console.log(`${request.method} ${request.url}`);
    const answer = () => {
      const size = Number(url.searchParams.get("bytes") ?? 0);
      const body = {
        name,
        method: request.method,
        url: request.url,
        headers: request.headers,
        bytes,
        sha256: hash.digest("hex"),
        pad: "x".repeat(size),
      };
      response.writeHead(Number(url.searchParams.get("status") ?? 200), {
        "content-type": "application/json",
        "x-name": name,
        "x-host": hostname(),
      });
      response.end(JSON.stringify(body));
    };
    const ms = Number(url.searchParams.get("ms") ?? 0);
    if (ms > 0) setTimeout(answer, ms);
    else answer();
  });
});

/** Filled, since the kernel gives no memory for what was never written. */
function eat(): void {
  const eaten: Buffer[] = [];
  for (;;) eaten.push(Buffer.alloc(16 * 1024 * 1024, 1));
}

server.on("upgrade", (_request, socket: Socket) => {
  socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-Name: ${name}\r\n\r\n`);
  socket.on("error", () => socket.destroy());
  socket.on("data", (chunk) => socket.write(chunk));
  socket.on("end", () => socket.end());
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT ?? 8080), process.env.BIND, () => console.log(`${name} listens`));
process.on("SIGTERM", () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
