// A gateway's listeners: ports on the host that lead to services of the mesh.
import net from "node:net";
import type { ListenerConfig } from "../contract/config.ts";
import { failure } from "../http/failure.ts";
import type { ServerStream } from "../http/stream.ts";
import { hostOf } from "../route/decide.ts";
import { blackHoleCluster, sourceEdge } from "../route/edges.ts";
import type { Binding, Table } from "../route/table.ts";
import { resetStream } from "../tcp/reset.ts";
import type { Connections } from "./connections.ts";
import { type ProxyContext, refuseRequest } from "./context.ts";
import { plainAddress } from "./inbound.ts";
import { routeRequest } from "./outbound.ts";
import { serveHttp } from "./serve-http.ts";
import { tunnel } from "./tunnel.ts";

/** Connections that wait in the kernel. */
const backlog = 1024;

export class GatewayListeners {
  readonly #context: ProxyContext;
  readonly #connections: Connections;
  readonly #servers = new Map<number, net.Server>();

  constructor(deps: { context: ProxyContext; connections: Connections }) {
    this.#context = deps.context;
    this.#connections = deps.connections;
  }

  /** Opens what the table has and closes what it has not; a listener that stays is not touched. */
  async apply(table: Table): Promise<void> {
    const wanted = new Set(table.listeners.map((listener) => listener.port));
    for (const [port, server] of this.#servers) {
      if (wanted.has(port)) continue;
      server.close();
      this.#servers.delete(port);
    }
    await Promise.all(table.listeners.map((listener) => this.#open(listener.port)));
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.#servers.clear();
  }

  async #open(port: number): Promise<void> {
    if (this.#servers.has(port)) return;
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket, port));
    this.#servers.set(port, server);
    await new Promise<void>((resolve, reject) => {
      const onError = (error: Error) => {
        // The next config tries again.
        if (this.#servers.get(port) === server) this.#servers.delete(port);
        reject(error);
      };
      server.once("error", onError);
      server.listen({ port, backlog }, () => {
        server.off("error", onError);
        server.on("error", (error) => this.#context.log.line(`[devmesh] gateway listener ${port}: ${error.message}`));
        resolve();
      });
    });
  }

  #accept(socket: net.Socket, port: number): void {
    const { counters } = this.#context;
    counters.connections(1);
    socket.once("close", () => counters.connections(-1));
    socket.on("error", () => socket.destroy());
    const listener = this.#listener(port);
    if (listener === undefined) {
      socket.destroy();
      return;
    }
    if (listener.protocol === "tcp") {
      const first = listener.hosts[0];
      const service = first === undefined ? undefined : this.#context.table().services.get(first.service);
      if (first === undefined || service === undefined) resetStream(socket);
      else void tunnel(this.#context, socket, { binding: whole(service), port: first.port, initial: Buffer.alloc(0) });
      return;
    }
    this.#serveHttp(socket, port);
  }

  #serveHttp(socket: net.Socket, port: number): void {
    const peer = { address: plainAddress(socket.remoteAddress ?? "unknown"), identity: null };
    const deps = { context: this.#context, connections: this.#connections };
    serveHttp(socket, { peer, onRequest: (stream) => this.#route(stream, port) }, deps);
  }

  #route(stream: ServerStream, port: number): void {
    const host = hostOf(stream.head.authority);
    const match = this.#listener(port)?.hosts.find((candidate) => hostFits(candidate.host, host));
    const table = this.#context.table();
    const service = match === undefined ? undefined : table.services.get(match.service);
    if (match !== undefined && service !== undefined) {
      routeRequest(this.#context, stream, { binding: whole(service), port: match.port }, { byHost: false });
      return;
    }
    const reason = failure("NR", 404, "route_not_found", `this gateway serves no host ${host || "(none)"}`);
    const call = { service: blackHoleCluster, workload: null, version: null, flags: "-" } as const;
    refuseRequest(this.#context, stream, { reason, edge: sourceEdge(table.node, call) });
  }

  #listener(port: number): ListenerConfig | undefined {
    return this.#context.table().listeners.find((candidate) => candidate.port === port);
  }
}

function whole(service: Binding["service"]): Binding {
  return { service, version: null, endpointId: null };
}

function hostFits(pattern: string, host: string): boolean {
  if (pattern === "*") return true;
  if (pattern.startsWith("*.")) return host.endsWith(pattern.slice(1));
  return pattern === host;
}
