// The connections from this proxy to one endpoint of a service: mTLS to its sidecar's 15008.
import type { TLSSocket } from "node:tls";
import { peerPort } from "../capture/ports.ts";
import type { EndpointConfig, ServiceConfig } from "../contract/config.ts";
import { defaultLimits } from "../http1/limits.ts";
import { Http1Pool } from "../http1/pool.ts";
import { InnerUpstream } from "../inner/upstream.ts";
import { alpnHttp1, alpnInner } from "../tls/alpn.ts";
import { connectPeer } from "../tls/connect-peer.ts";
import type { Identity } from "../tls/identity.ts";
import { sniName } from "../tls/sni-name.ts";
import type { EndpointUpstreams } from "../upstream/endpoint.ts";

/** From dialling to the end of the handshake. */
export const peerConnectTimeoutMs = 5000;
/** An upgraded connection is never idle in a pool; this is for requests that asked and were not upgraded. */
const idleMs = 30_000;

export interface PeerOptions {
  readonly config: EndpointConfig;
  readonly service: ServiceConfig;
  readonly own: Identity;
}

export function openEndpoint(options: PeerOptions): EndpointUpstreams {
  const describe = `${options.config.workload} (${options.config.address})`;
  const requests = new InnerUpstream({ connect: () => connect(options, alpnInner), describe });
  const upgrades = new Map<number, Http1Pool>();
  const openPool = (port: number): Http1Pool => {
    const connectTimeoutMs = peerConnectTimeoutMs;
    const pool = new Http1Pool({
      connect: () => connect(options, alpnHttp1, port),
      limits: defaultLimits,
      idleMs,
      connectTimeoutMs,
      describe,
    });
    upgrades.set(port, pool);
    return pool;
  };
  return {
    requests,
    upgrades: (port) => upgrades.get(port) ?? openPool(port),
    close: () => {
      requests.close();
      for (const pool of upgrades.values()) pool.close();
    },
  };
}

/** A multiplexed connection serves every port, each request's head names its own; SNI then says the service's first. */
function connect(
  { config, service, own }: PeerOptions,
  alpn: string,
  port = service.ports[0]?.number ?? 80,
): TLSSocket {
  return connectPeer({
    address: config.address,
    port: peerPort,
    servername: sniName({ service: service.name, namespace: service.namespace, port, subset: config.version }),
    alpn,
    expectedIdentity: service.identity,
    identity: own,
    timeoutMs: peerConnectTimeoutMs,
  });
}
