// The life of a sidecar: bind, install the rules, give up root, take the first config, serve, drain.
import { once } from "node:events";
import { dropPrivileges } from "./capture/drop-privileges.ts";
import { listeningPorts } from "./capture/listening.ts";
import { loadOriginalDestination, originalDestination } from "./capture/original-destination.ts";
import { dnsPort, dockerDns, healthPort, inboundPort, outboundPort, peerPort } from "./capture/ports.ts";
import { newProxyGroup } from "./capture/proxy-group.ts";
import { takeOver } from "./capture/take-over.ts";
import { Resolver } from "./dns/resolver.ts";
import type { Engine } from "./engine.ts";
import { Connections } from "./listener/connections.ts";
import { createHealthServer } from "./listener/health-server.ts";
import { HeldServer } from "./listener/held-server.ts";
import { acceptInbound } from "./listener/inbound.ts";
import { openIpv6Doors } from "./listener/ipv6-doors.ts";
import { acceptOutbound } from "./listener/outbound.ts";
import { acceptPeer } from "./listener/peers.ts";
import { resolverNames } from "./names.ts";
import type { ProxyOptions } from "./options.ts";
import { ProxyProcess } from "./process.ts";
import { isInOneOf, parseSubnets } from "./route/subnets.ts";
import { alpnPeers } from "./tls/alpn.ts";
import { createPeerServer, type PeerServer } from "./tls/peer-server.ts";
import { ApplicationWatch } from "./upstream/application-watch.ts";

const loopback = "127.0.0.1";
const everywhere = "0.0.0.0";

/** A hold waits as long for its sidecar. Whoever is older was running before it was attached to. */
const earlyMsMax = 5_000;

function isJustStarted(startedAt: string | undefined): boolean {
  return startedAt !== undefined && Date.now() - Date.parse(startedAt) < earlyMsMax;
}

export async function runSidecar(options: ProxyOptions, boot: string): Promise<void> {
  const proxy = new ProxyProcess(boot);
  const { counters, log, identity } = proxy;
  const meshNetwork = parseSubnets([options.meshSubnet]);
  const resolver = new Resolver({
    listen: { address: loopback, port: dnsPort },
    upstream: dockerDns,
    // Docker knows the mesh's network too, where all containers are.
    isHidden: (address) => isInOneOf(meshNetwork, address),
    log: (line) => log.line(line),
  });
  const watch = new ApplicationWatch({
    listening: listeningPorts,
    onChange: (listens) => proxy.setListens(listens),
  });
  const engine: Engine = proxy.engine(
    (table) => {
      resolver.setTable(resolverNames(table));
      watch.follow([...(table.acceptance?.ports.keys() ?? [])]);
    },
    () => watch.refused(),
  );
  const { context } = engine;
  const incoming = new Connections();
  const outgoing = new Connections();
  const onConnections = (change: 1 | -1) => counters.connections(change);
  const peers: { server: PeerServer | null } = { server: null };
  const outbound = new HeldServer({
    accept: (socket) => acceptOutbound(socket, { context, originalDestination, connections: outgoing }),
    onConnections,
  });
  const inbound = new HeldServer({
    accept: (socket) => acceptInbound(socket, { context, originalDestination, connections: incoming }),
    onConnections,
  });
  const peer = new HeldServer({ accept: (socket) => peers.server?.accept(socket), onConnections });
  const health = createHealthServer({ counters, isReady: () => proxy.isReady });

  await loadOriginalDestination();
  health.listen(healthPort, loopback);
  await Promise.all([
    outbound.listen(outboundPort, loopback),
    inbound.listen(inboundPort, everywhere),
    resolver.listen(),
    once(health, "listening"),
  ]);
  // Mutual TLS goes over the mesh's network, which is IPv4.
  const isIpv6Captured = await openIpv6Doors([
    [outbound, outboundPort],
    [inbound, inboundPort],
  ]);
  const proxyGroup = newProxyGroup();
  const rules = { ...options, isIpv6Captured, proxyGroup, sparesEarly: isJustStarted(options.startedAt) };
  await takeOver(rules, (line) => log.line(line));
  // Only now: a peer's connection from before the rules has no mark, and the guard would cut our answer without a word to the peer,
  // which then waits for the end of its handshake (5 s, measured). Refused, it tries again at once.
  await peer.listen(peerPort, everywhere);
  dropPrivileges(proxyGroup);

  await proxy.start(() => {
    peers.server = createPeerServer({
      identity,
      trustDomain: engine.table.node.trustDomain,
      alpn: alpnPeers,
      onConnection: (socket, from) => acceptPeer(socket, from, { context, connections: incoming }),
      onRefused: ({ reason, detail, address }) =>
        log.line(`[devmesh] mTLS refused from ${address}: ${reason}: ${detail}`),
    });
    for (const server of [outbound, inbound, peer]) server.release();
  });
  await proxy.stopped;
  const until = performance.now() + proxy.drainMs;
  for (const server of [inbound, peer]) server.close();
  await incoming.drain(proxy.drainMs);
  // To answer what came in the application may have had to ask others: until here it could.
  outbound.close();
  await outgoing.drain(Math.max(0, until - performance.now()));
  await proxy.close();
}
