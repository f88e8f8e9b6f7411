// An optional TCP door to /metrics alone, for Prometheus. Names in Host are refused: a web page could rebind its own.
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { isIP } from "node:net";
import { Problem } from "./problem.ts";

const connectionsMax = 32;
const namesAllowed = new Set(["localhost", "host.docker.internal", "gateway.docker.internal"]);

export interface MetricsListenerOptions {
  readonly host: string;
  readonly port: number;
  metrics(): Promise<{ readonly contentType: string; readonly text: string }>;
}

/** Throws Problem DM0401 when the port is taken. */
export async function listenForMetrics({ host, port, metrics }: MetricsListenerOptions): Promise<Server> {
  const server = createServer((request, response) => {
    response.on("error", () => response.destroy());
    const refuse = (status: number, text: string): void => {
      response.writeHead(status, { "content-type": "text/plain" }).end(text);
    };
    if (!isHostAllowed(request.headers.host, host)) return refuse(421, "this host name is not served\n");
    if (request.url !== "/metrics" || request.method !== "GET") return refuse(404, "only GET /metrics\n");
    metrics().then(
      ({ contentType, text }) => response.writeHead(200, { "content-type": contentType }).end(text),
      () => refuse(500, "the metrics could not be collected\n"),
    );
  });
  server.maxConnections = connectionsMax;
  server.on("clientError", (_error, socket) => socket.destroy());
  server.listen(port, host);
  try {
    await once(server, "listening");
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code;
    throw new Problem(
      "DM0401",
      `cannot listen on ${host}:${port} for metrics: ${why}`,
      "choose another port in mesh.yaml",
    );
  }
  return server;
}

/** Addresses cannot be rebound; of names, only those that mean this machine, and the one that was configured. */
export function isHostAllowed(header: string | undefined, configured: string): boolean {
  if (header === undefined) return false;
  const name = header.replace(/:\d+$/, "").toLowerCase();
  const address = name.replace(/^\[(.*)\]$/, "$1");
  return isIP(address) !== 0 || namesAllowed.has(name) || name === configured.toLowerCase();
}
