// Plaintext connections to the application's ports, redirected to 15006: from the host, from neighbours, from outside.
import net from "node:net";
import type { OriginalDestination } from "../capture/original-destination.ts";
import { ownPorts } from "../capture/ports.ts";
import type { Failure } from "../http/failure.ts";
import type { Peer } from "../http/stream.ts";
import { defaultLimits } from "../http1/limits.ts";
import { serveHttp1 } from "../http1/server-connection.ts";
import { type Acceptance, admit, authorize } from "../route/authorize.ts";
import { InboundRouting, inboundEdge } from "../route/inbound-routing.ts";
import { resetStream } from "../tcp/reset.ts";
import { sniff } from "../tcp/sniff.ts";
import { splice } from "../tcp/splice.ts";
import { continueTrace } from "../telemetry/trace.ts";
import type { Connections } from "./connections.ts";
import { type ProxyContext, refuseRequest, startExchange } from "./context.ts";
import { sniffTimeoutMs } from "./outbound.ts";
import { tcpIdleTimeoutMs } from "./tunnel.ts";

export interface InboundDeps {
  readonly context: ProxyContext;
  readonly originalDestination: (socket: net.Socket) => OriginalDestination | null;
  readonly connections: Connections;
}

export function acceptInbound(socket: net.Socket, deps: InboundDeps): void {
  const { context } = deps;
  const dialled = deps.originalDestination(socket);
  if (dialled === null || ownPorts.has(dialled.port)) {
    context.counters.count("loopsClosed");
    socket.destroy();
    return;
  }
  const { acceptance } = context.table();
  if (acceptance === null) {
    resetStream(socket);
    return;
  }
  const peer: Peer = { address: plainAddress(socket.remoteAddress ?? "unknown"), identity: null };
  const refused = admit(acceptance, { identity: null, address: peer.address, port: dialled.port });
  if (refused !== null) {
    refuseConnection(context, socket, { peer, reason: refused });
    return;
  }
  const protocol = acceptance.ports.get(dialled.port)?.protocol ?? "auto";
  if (protocol === "http") serveInboundHttp(socket, { peer, dialled, initial: Buffer.alloc(0) }, deps);
  else if (protocol === "tcp")
    serveInboundTcp(context, socket, {
      peer,
      addresses: [dialled.address],
      port: dialled.port,
      initial: Buffer.alloc(0),
    });
  else void sniffInbound(socket, { peer, dialled }, deps);
}

async function sniffInbound(
  socket: net.Socket,
  from: { peer: Peer; dialled: OriginalDestination },
  deps: InboundDeps,
): Promise<void> {
  const { kind, bytes } = await sniff(socket, { timeoutMs: sniffTimeoutMs });
  const { peer, dialled } = from;
  if (kind === "closed") socket.destroy();
  else if (kind === "http1") serveInboundHttp(socket, { peer, dialled, initial: bytes }, deps);
  else
    serveInboundTcp(deps.context, socket, { peer, addresses: [dialled.address], port: dialled.port, initial: bytes });
}

function serveInboundHttp(
  socket: net.Socket,
  from: { peer: Peer; dialled: OriginalDestination; initial: Buffer },
  deps: InboundDeps,
): void {
  const { context } = deps;
  const { peer, dialled, initial } = from;
  const connection = serveHttp1(socket, {
    peer,
    scheme: "http",
    limits: defaultLimits,
    initial,
    onRequest: (stream) => {
      const table = context.table();
      const refused = denial(table.acceptance, { peer, port: dialled.port, head: stream.head });
      if (refused !== null) {
        refuseRequest(context, stream, refused);
        return;
      }
      continueTrace(stream.head.fields);
      const application = context.applications.get({
        port: dialled.port,
        addresses: [dialled.address],
        workload: table.node.workload,
      });
      startExchange(context, stream, new InboundRouting({ table, application, peer }));
    },
    onClose: () => deps.connections.remove(connection),
  });
  deps.connections.add(connection);
}

/** Policy is asked per request, so a reload reaches connections that are open. */
export function denial(
  acceptance: Acceptance | null,
  call: { peer: Peer; port: number; head: { method: string; target: string } },
): Failure | null {
  if (acceptance === null) return null;
  const { peer, port, head } = call;
  const parts = { identity: peer.identity, address: peer.address, port };
  return admit(acceptance, parts) ?? authorize(acceptance, { ...parts, http: head });
}

/** Joins a connection that was admitted to the application, if policy lets TCP pass. */
export function serveInboundTcp(
  context: ProxyContext,
  socket: net.Socket,
  from: { peer: Peer; addresses: readonly string[]; port: number; initial: Buffer },
): void {
  const { peer, addresses, port, initial } = from;
  const table = context.table();
  const refused =
    table.acceptance === null
      ? null
      : authorize(table.acceptance, { identity: peer.identity, address: peer.address, port, http: null });
  if (refused !== null) {
    refuseConnection(context, socket, { peer, reason: refused });
    return;
  }
  const series = context.counters.tcp(inboundEdge(table, peer, "-"));
  series.opened++;
  series.receivedBytes += initial.length;
  connectFirst(addresses, port, (application) => {
    if (application === null) {
      series.closed++;
      context.log.line(
        `[devmesh] UF connection from ${peer.identity ?? peer.address} reset: ${table.node.workload} does not listen on port ${port}`,
      );
      resetStream(socket);
      return;
    }
    if (initial.length > 0) application.write(initial);
    splice(socket, application, {
      idleTimeoutMs: tcpIdleTimeoutMs,
      onBytes: (direction, bytes) => {
        if (direction === "a-to-b") series.receivedBytes += bytes;
        else series.sentBytes += bytes;
      },
      onClose: () => {
        series.closed++;
      },
    });
  });
}

/** The application may be bound to one of the container's addresses only: a refused one leads to the next. */
function connectFirst(addresses: readonly string[], port: number, done: (socket: net.Socket | null) => void): void {
  const [address, ...others] = addresses;
  if (address === undefined) {
    done(null);
    return;
  }
  const socket = net.connect({ host: address, port, allowHalfOpen: true, noDelay: true });
  const onError = () => connectFirst(others, port, done);
  socket.once("error", onError);
  socket.once("connect", () => {
    socket.off("error", onError);
    done(socket);
  });
}

export function refuseConnection(
  context: ProxyContext,
  socket: net.Socket,
  { peer, reason }: { peer: Peer; reason: Failure },
): void {
  const series = context.counters.tcp(inboundEdge(context.table(), peer, "UAEX"));
  series.opened++;
  series.closed++;
  context.log.line(
    `[devmesh] ${reason.detail} connection from ${peer.identity ?? peer.address} reset: ${reason.reason}`,
  );
  resetStream(socket);
}

function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
