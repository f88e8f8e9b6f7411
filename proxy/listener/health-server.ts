// Health and counters on 15020, loopback only: for people inside the container and for tests.
import http from "node:http";
import type { Counters } from "../telemetry/counters.ts";

const requestTimeoutMs = 5000;
const connectionsMax = 16;

export function createHealthServer(deps: { counters: Counters; isReady: () => boolean }): http.Server {
  const server = http.createServer({ requestTimeout: requestTimeoutMs }, (request, response) => {
    if (request.url === "/healthz/ready") {
      const isReady = deps.isReady();
      response
        .writeHead(isReady ? 200 : 503, { "content-type": "text/plain" })
        .end(isReady ? "ready\n" : "not ready\n");
    } else if (request.url === "/stats") {
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(deps.counters.report()));
    } else {
      response.writeHead(404).end();
    }
  });
  server.maxConnections = connectionsMax;
  server.on("clientError", (_error, socket) => socket.destroy());
  return server;
}
