// What was admitted goes to the application: requests through the exchange, connections as a splice. Policy is asked for
// each, so that a reload reaches connections that are open.
import net from "node:net";
import { type Failure, failure } from "../http/failure.ts";
import type { Peer, ServerStream } from "../http/stream.ts";
import { type Acceptance, admit, authorize } from "../route/authorize.ts";
import { destinationEdge } from "../route/edges.ts";
import { InboundRouting } from "../route/inbound-routing.ts";
import { resetStream } from "../tcp/reset.ts";
import { type ProxyContext, refuseRequest, startExchange } from "./context.ts";
import { countedSplice, countRefused } from "./counted-splice.ts";

export interface Arrival {
  readonly peer: Peer;
  /** The application's port. */
  readonly port: number;
  /** Where the application may be reached, tried in this order. */
  readonly addresses: readonly string[];
}

/** A reload may have taken the service away while the connection was open. */
const nothingIn = failure("-", 403, "rbac_access_denied_matched_policy[none]", "this proxy takes nothing in");

export function serveRequest(context: ProxyContext, stream: ServerStream, { peer, port, addresses }: Arrival): void {
  const table = context.table();
  const reason = denial(table.acceptance, { peer, port, head: stream.head });
  if (reason !== null) {
    refuseRequest(context, stream, { reason, edge: destinationEdge(table, peer, "-") });
    return;
  }
  const application = context.applications.get({ port, addresses, workload: table.node.workload });
  startExchange(context, stream, new InboundRouting({ table, application, peer }));
}

function denial(
  acceptance: Acceptance | null,
  { peer, port, head }: { peer: Peer; port: number; head: { method: string; target: string } },
): Failure | null {
  if (acceptance === null) return nothingIn;
  const parts = { identity: peer.identity, address: peer.address, port };
  return admit(acceptance, parts) ?? authorize(acceptance, { ...parts, http: head });
}

export function serveConnection(
  context: ProxyContext,
  client: net.Socket,
  { peer, port, addresses, initial }: Arrival & { readonly initial: Buffer },
): void {
  const table = context.table();
  const { acceptance } = table;
  const call = { identity: peer.identity, address: peer.address, port, http: null };
  const reason = acceptance === null ? nothingIn : authorize(acceptance, call);
  if (reason !== null) {
    refuseConnection(context, client, { peer, reason });
    return;
  }
  connectFirst(addresses, port, (server) => {
    if (server !== null) {
      countedSplice(context.counters, { client, server, initial, edge: destinationEdge(table, peer, "-") });
      return;
    }
    context.applications.onRefused();
    countRefused(context.counters, destinationEdge(table, peer, "UF"));
    const from = peer.identity ?? peer.address;
    const why = `${table.node.workload} does not listen on port ${port}`;
    context.log.line(`[devmesh] UF connection from ${from} reset: ${why}`);
    resetStream(client);
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

/** Resets a connection that policy does not let in: counted under UAEX (unauthorized), and its reason logged. */
export function refuseConnection(
  context: ProxyContext,
  socket: net.Socket,
  { peer, reason }: { peer: Peer; reason: Failure },
): void {
  countRefused(context.counters, destinationEdge(context.table(), peer, "UAEX"));
  const from = peer.identity ?? peer.address;
  context.log.line(`[devmesh] ${reason.detail} connection from ${from} reset: ${reason.reason}`);
  resetStream(socket);
}
