// Plaintext connections to the application's ports, redirected to 15006: from the host, from neighbours, from outside.
import type net from "node:net";
import type { OriginalDestination } from "../capture/original-destination.ts";
import { ownPorts } from "../capture/ports.ts";
import { protocolAt } from "../contract/tcp-ports.ts";
import type { Peer } from "../http/stream.ts";
import { admit } from "../route/authorize.ts";
import { sniff } from "../tcp/sniff.ts";
import { continueTrace } from "../telemetry/trace.ts";
import type { Connections } from "./connections.ts";
import type { ProxyContext } from "./context.ts";
import { isOriginForm, sniffTimeoutMs } from "./outbound.ts";
import { serveHttp } from "./serve-http.ts";
import { type Arrival, refuseConnection, serveConnection, serveRequest } from "./to-application.ts";

export interface InboundDeps {
  readonly context: ProxyContext;
  readonly originalDestination: (socket: net.Socket) => OriginalDestination | null;
  readonly connections: Connections;
}

const nothing = Buffer.alloc(0);

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
    socket.resetAndDestroy();
    return;
  }
  const peer: Peer = { address: plainAddress(socket.remoteAddress ?? "unknown"), identity: null };
  const { port, address } = dialled;
  const reason = admit(acceptance, { identity: null, address: peer.address, port });
  if (reason !== null) {
    refuseConnection(context, socket, { peer, reason });
    return;
  }
  // The address that was dialled and no other: the application sees what it would see without a mesh.
  const arrival: Arrival = { peer, port, addresses: [address] };
  const protocol = protocolAt(acceptance.ports, port);
  if (protocol === "http") serveInboundHttp(socket, { ...arrival, initial: nothing }, deps);
  else if (protocol === "tcp") serveConnection(context, socket, { ...arrival, initial: nothing });
  else void sniffInbound(socket, arrival, deps);
}

async function sniffInbound(socket: net.Socket, arrival: Arrival, deps: InboundDeps): Promise<void> {
  const { kind, bytes } = await sniff(socket, { timeoutMs: sniffTimeoutMs });
  if (kind === "closed") socket.destroy();
  else if (kind === "http1" && isOriginForm(bytes)) serveInboundHttp(socket, { ...arrival, initial: bytes }, deps);
  else serveConnection(deps.context, socket, { ...arrival, initial: bytes });
}

function serveInboundHttp(socket: net.Socket, arrival: Arrival & { initial: Buffer }, deps: InboundDeps): void {
  const { peer, initial } = arrival;
  const onRequest = (stream: Parameters<typeof serveRequest>[1]) => {
    continueTrace(stream.head.fields);
    serveRequest(deps.context, stream, arrival);
  };
  serveHttp(socket, { peer, initial, onRequest }, deps);
}

/** An IPv4 peer of a dual-stack listener comes as ::ffff:a.b.c.d. */
export function plainAddress(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
