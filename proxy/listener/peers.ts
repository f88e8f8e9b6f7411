// mTLS from other proxies on 15008: multiplexed requests, tunnels, and requests that ask for an Upgrade.
import type { TLSSocket } from "node:tls";
import { ownPorts } from "../capture/ports.ts";
import { failure } from "../http/failure.ts";
import type { Peer, ServerStream } from "../http/stream.ts";
import { serveInner } from "../inner/server-session.ts";
import { admit } from "../route/authorize.ts";
import { destinationEdge } from "../route/edges.ts";
import { alpnInner, alpnTunnel } from "../tls/alpn.ts";
import type { PeerConnection } from "../tls/peer-server.ts";
import { parseSniName } from "../tls/sni-name.ts";
import type { Connections } from "./connections.ts";
import { type ProxyContext, refuseRequest } from "./context.ts";
import { plainAddress } from "./inbound.ts";
import { serveHttp } from "./serve-http.ts";
import { refuseConnection, serveConnection, serveRequest } from "./to-application.ts";

interface PeerDeps {
  readonly context: ProxyContext;
  readonly connections: Connections;
}

/** Takes a connection whose certificate was verified. */
export function acceptPeer(socket: TLSSocket, from: PeerConnection, deps: PeerDeps): void {
  const { context } = deps;
  const { identity, alpn, servername } = from;
  const peer: Peer = { address: plainAddress(socket.remoteAddress ?? "unknown"), identity };
  const { acceptance, node } = context.table();
  const name = parseSniName(servername);
  if (acceptance === null || name === null || ownPorts.has(name.port) || name.service !== node.service) {
    const asked = servername === "" ? "nothing" : servername.slice(0, 255);
    context.log.line(`[devmesh] connection from ${identity} closed: this proxy serves ${node.service}, not ${asked}`);
    socket.destroy();
    return;
  }
  const reason = admit(acceptance, { identity, address: peer.address, port: name.port });
  if (reason !== null) refuseConnection(context, socket, { peer, reason });
  else if (alpn === alpnInner) serveSession(socket, peer, deps);
  else if (alpn === alpnTunnel) {
    serveConnection(context, socket, { peer, port: name.port, addresses: node.addresses, initial: Buffer.alloc(0) });
  } else {
    serveHttp(socket, { peer, onRequest: (stream) => servePeerRequest(context, stream, name) }, deps);
  }
}

function serveSession(socket: TLSSocket, peer: Peer, { context, connections }: PeerDeps): void {
  const session = serveInner(socket, {
    peer,
    onRequest: (stream) => servePeerRequest(context, stream, stream.destination),
    onClose: () => connections.remove(session),
  });
  connections.add(session);
}

function servePeerRequest(
  context: ProxyContext,
  stream: ServerStream,
  { service, port }: { readonly service: string; readonly port: number },
): void {
  const table = context.table();
  const { peer } = stream;
  const { node } = table;
  if (service === node.service && !ownPorts.has(port)) {
    serveRequest(context, stream, { peer, port, addresses: node.addresses });
    return;
  }
  const why = `this proxy serves ${node.service}, not ${service} on port ${port}`;
  const edge = destinationEdge(table, peer, "-");
  refuseRequest(context, stream, { reason: failure("NR", 404, "route_not_found", why), edge });
}
