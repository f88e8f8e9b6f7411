// mTLS from other proxies on 15008: multiplexed requests, tunnels, and requests that ask for an Upgrade.
import type { TLSSocket } from "node:tls";
import { ownPorts } from "../capture/ports.ts";
import { failure } from "../http/failure.ts";
import type { Peer, ServerStream } from "../http/stream.ts";
import { defaultLimits } from "../http1/limits.ts";
import { serveHttp1 } from "../http1/server-connection.ts";
import { serveInner } from "../inner/server-session.ts";
import { admit } from "../route/authorize.ts";
import { InboundRouting } from "../route/inbound-routing.ts";
import { alpnInner, alpnTunnel } from "../tls/alpn.ts";
import type { PeerConnection } from "../tls/peer-server.ts";
import { parseSniName } from "../tls/sni-name.ts";
import type { Connections } from "./connections.ts";
import { type ProxyContext, refuseRequest, startExchange } from "./context.ts";
import { denial, refuseConnection, serveInboundTcp } from "./inbound.ts";

/** Takes a connection whose certificate was verified. */
export function acceptPeer(
  socket: TLSSocket,
  from: PeerConnection,
  deps: { context: ProxyContext; connections: Connections },
): void {
  const { context, connections } = deps;
  const { identity, alpn, servername } = from;
  const peer: Peer = { address: plain(socket.remoteAddress ?? "unknown"), identity };
  const { acceptance } = context.table();
  const name = parseSniName(servername);
  if (acceptance === null || name === null || ownPorts.has(name.port)) {
    socket.destroy();
    return;
  }
  const refused = admit(acceptance, { identity, address: peer.address, port: name.port });
  if (refused !== null) {
    refuseConnection(context, socket, { peer, reason: refused });
    return;
  }
  if (alpn === alpnTunnel) {
    const { addresses } = context.table().node;
    serveInboundTcp(context, socket, { peer, addresses, port: name.port, initial: Buffer.alloc(0) });
    return;
  }
  const onClose = () => connections.remove(handle);
  const handle =
    alpn === alpnInner
      ? serveInner(socket, {
          peer,
          onRequest: (stream) => serveRequest(context, stream, { peer, ...stream.destination }),
          onClose,
        })
      : serveHttp1(socket, {
          peer,
          scheme: "http",
          limits: defaultLimits,
          onRequest: (stream) => serveRequest(context, stream, { peer, service: name.service, port: name.port }),
          onClose,
        });
  connections.add(handle);
}

function serveRequest(
  context: ProxyContext,
  stream: ServerStream,
  call: { peer: Peer; service: string; port: number },
): void {
  const table = context.table();
  const { peer, service, port } = call;
  if (service !== table.node.service || ownPorts.has(port)) {
    const reason = `this proxy serves ${table.node.service}, not ${service} on port ${port}`;
    refuseRequest(context, stream, failure("NR", 404, "route_not_found", reason));
    return;
  }
  const refused = denial(table.acceptance, { peer, port, head: stream.head });
  if (refused !== null) {
    refuseRequest(context, stream, refused);
    return;
  }
  const application = context.applications.get({
    port,
    addresses: table.node.addresses,
    workload: table.node.workload,
  });
  startExchange(context, stream, new InboundRouting({ table, application, peer }));
}

function plain(address: string): string {
  return address.startsWith("::ffff:") ? address.slice(7) : address;
}
