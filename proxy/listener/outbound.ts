// Connections that the application opens, redirected to 15001: to a service of the mesh, to one container of it, or past it.
import net from "node:net";
import type { OriginalDestination } from "../capture/original-destination.ts";
import { ownPorts } from "../capture/ports.ts";
import { protocolAt } from "../contract/tcp-ports.ts";
import { failure } from "../http/failure.ts";
import type { ServerStream } from "../http/stream.ts";
import { bindingOf, decide, hostOf } from "../route/decide.ts";
import { blackHoleCluster, passthroughCluster, sourceEdge } from "../route/edges.ts";
import { OutboundRouting } from "../route/outbound-routing.ts";
import { isInOneOf, parseSubnets } from "../route/subnets.ts";
import type { Binding, Table } from "../route/table.ts";
import { resetStream } from "../tcp/reset.ts";
import { sniff } from "../tcp/sniff.ts";
import { continueTrace } from "../telemetry/trace.ts";
import type { Connections } from "./connections.ts";
import { type ProxyContext, refuseRequest, startExchange } from "./context.ts";
import { countedSplice, countRefused } from "./counted-splice.ts";
import { isStranger } from "./ipv6-doors.ts";
import { serveHttp } from "./serve-http.ts";
import { tunnel } from "./tunnel.ts";

/** A client that says nothing for this long is a server-first protocol: its connection goes on as TCP. */
export const sniffTimeoutMs = 200;

export interface OutboundDeps {
  readonly context: ProxyContext;
  readonly originalDestination: (socket: net.Socket) => OriginalDestination | null;
  readonly connections: Connections;
}

export function acceptOutbound(socket: net.Socket, deps: OutboundDeps): void {
  const { context } = deps;
  const dialled = deps.originalDestination(socket);
  if (dialled === null || isStranger(socket) || isLoop(context.table(), dialled)) {
    context.counters.count("loopsClosed");
    socket.destroy();
    return;
  }
  const table = context.table();
  const to = destinationOf(table, dialled);
  if (to === null) {
    if (isInOneOf(parseSubnets([table.node.meshSubnet]), dialled.address)) refuseUnassigned(socket, dialled, deps);
    else if (!table.httpPorts.has(dialled.port)) passThrough(context, socket, { dialled, initial: Buffer.alloc(0) });
    else void sniffUnknown(socket, dialled, deps);
    return;
  }
  const protocol = protocolAt(to.binding.service.ports, to.port);
  if (protocol === "http") serveOutboundHttp(socket, { ...to, initial: Buffer.alloc(0) }, deps);
  else if (protocol === "tcp") void tunnel(context, socket, { ...to, initial: Buffer.alloc(0) });
  else void sniffKnown(socket, to, deps);
}

/** What of the mesh is dialled: a service, a container, or what is published at a port of the host. */
function destinationOf(
  table: Table,
  { address, port }: OriginalDestination,
): { binding: Binding; port: number } | null {
  const binding = table.byAddress.get(address);
  return binding === undefined ? table.hostPorts(address, port) : { binding, port };
}

/** A connect to one of the proxy's own ports would come back to itself until descriptors run out. */
function isLoop(table: Table, dialled: OriginalDestination): boolean {
  return ownPorts.has(dialled.port) && (table.node.addresses.includes(dialled.address) || isLoopback(dialled.address));
}

function isLoopback(address: string): boolean {
  return address.startsWith("127.") || address === "::1";
}

/**
 * A virtual address that means nothing (any more). Nothing but mTLS passes in the mesh's network, so that a connection could
 * only fail, after the kernel has asked for the address for seconds.
 */
function refuseUnassigned(socket: net.Socket, { address, port }: OriginalDestination, deps: OutboundDeps): void {
  const { context } = deps;
  const { httpPorts, node } = context.table();
  if (httpPorts.has(port)) {
    serveOutboundHttp(socket, { binding: null, port, initial: Buffer.alloc(0) }, deps);
    return;
  }
  const call = { service: blackHoleCluster, workload: null, version: null, flags: "NR" } as const;
  countRefused(context.counters, sourceEdge(node, call));
  context.log.line(`[devmesh] NR connection reset: ${address}:${port} is no service that this workload may reach`);
  resetStream(socket);
}

async function sniffKnown(
  socket: net.Socket,
  to: { binding: Binding; port: number },
  deps: OutboundDeps,
): Promise<void> {
  const { kind, bytes } = await sniff(socket, { timeoutMs: sniffTimeoutMs });
  if (kind === "closed") socket.destroy();
  else if (kind === "http1" && isOriginForm(bytes)) serveOutboundHttp(socket, { ...to, initial: bytes }, deps);
  else await tunnel(deps.context, socket, { ...to, initial: bytes });
}

/** An address that the mesh does not know, on a port where it speaks HTTP: the Host may still name one of its services. */
async function sniffUnknown(socket: net.Socket, dialled: OriginalDestination, deps: OutboundDeps): Promise<void> {
  const { kind, bytes } = await sniff(socket, { timeoutMs: sniffTimeoutMs });
  if (kind === "closed") {
    socket.destroy();
    return;
  }
  const isRoutable = kind === "http1" && isOriginForm(bytes);
  const host = isRoutable ? /\r\nhost:[ \t]*([^\r\n]*?)[ \t]*\r\n/i.exec(bytes.toString("latin1"))?.[1] : undefined;
  const binding = host === undefined ? undefined : deps.context.table().byHost.get(hostOf(host));
  if (binding?.service.ports.has(dialled.port)) {
    // Each of its requests is for the service that it names, or for none: the address means nothing to the mesh.
    serveOutboundHttp(socket, { binding: null, port: dialled.port, initial: bytes }, deps);
  } else {
    passThrough(deps.context, socket, { dialled, initial: bytes });
  }
}

/** CONNECT and absolute URLs are for the application's own HTTP proxy, which is not ours to route for. */
export function isOriginForm(bytes: Buffer): boolean {
  return /^[A-Z_-]+ [/*]/.test(bytes.toString("latin1", 0, 64));
}

function serveOutboundHttp(
  socket: net.Socket,
  to: { binding: Binding | null; port: number; initial: Buffer },
  deps: OutboundDeps,
): void {
  const { context } = deps;
  const peer = { address: socket.remoteAddress ?? "unknown", identity: null };
  const { binding, port, initial } = to;
  serveHttp(socket, { peer, initial, onRequest: (stream) => routeRequest(context, stream, { binding, port }) }, deps);
}

/** Routes one request that left the application (or came to a gateway). */
export function routeRequest(
  context: ProxyContext,
  stream: ServerStream,
  dialled: { binding: Binding | null; port: number },
  options: { byHost: boolean } = { byHost: true },
): void {
  const table = context.table();
  continueTrace(stream.head.fields);
  // The table may be newer than the connection: the binding is looked up again by name.
  const known = current(table, dialled.binding);
  // A gateway serves what its listener names: a Host that a stranger writes must not open other services.
  const binding = options.byHost ? bindingOf(table, stream.head, { ...dialled, binding: known }) : known;
  if (binding === null) {
    const reason = `no service of the mesh is called ${stream.head.authority || "(no Host)"} on port ${dialled.port}`;
    const call = { service: blackHoleCluster, workload: null, version: null, flags: "-" } as const;
    const edge = sourceEdge(table.node, call);
    refuseRequest(context, stream, { reason: failure("NR", 404, "route_not_found", reason), edge });
    return;
  }
  const decision = decide(table, stream.head, { binding, port: dialled.port });
  if (decision.kind === "fail") {
    const edge = sourceEdge(table.node, {
      service: binding.service,
      workload: null,
      version: binding.version,
      flags: "-",
    });
    refuseRequest(context, stream, { reason: decision.failure, edge });
    return;
  }
  startExchange(context, stream, new OutboundRouting(decision, context));
}

function current(table: Table, binding: Binding | null): Binding | null {
  if (binding === null) return null;
  const service = table.services.get(binding.service.config.name);
  return service === undefined || service === binding.service ? binding : { ...binding, service };
}

function passThrough(
  context: ProxyContext,
  client: net.Socket,
  to: { dialled: OriginalDestination; initial: Buffer },
): void {
  const { dialled, initial } = to;
  const server = net.connect({ host: dialled.address, port: dialled.port, allowHalfOpen: true, noDelay: true });
  const edge = sourceEdge(context.table().node, {
    service: passthroughCluster,
    workload: null,
    version: null,
    flags: "-",
  });
  countedSplice(context.counters, { client, server, initial, edge });
}
