// The connections from this proxy to one endpoint of a service: mTLS to its sidecar's 15008, or plaintext to its own port
// where the service takes only that (its sidecar is still there: the port is redirected to it).
import net from "node:net";
import type { TLSSocket } from "node:tls";
import { peerPort } from "../capture/ports.ts";
import type { Failure } from "../http/failure.ts";
import { defaultLimits } from "../http1/limits.ts";
import { Http1Pool } from "../http1/pool.ts";
import { InnerUpstream } from "../inner/upstream.ts";
import { alpnHttp1, alpnInner } from "../tls/alpn.ts";
import { connectPeer, tcpConnectTimeoutMs } from "../tls/connect-peer.ts";
import type { Identity } from "../tls/identity.ts";
import { sniName } from "../tls/sni-name.ts";
import type { EndpointPlace, EndpointUpstreams } from "../upstream/endpoint.ts";

/** From dialling to the end of the handshake. */
const peerConnectTimeoutMs = 5000;
/** An upgraded connection is never idle in a pool; this is for requests that asked and were not upgraded. */
const upgradeIdleMs = 30_000;
/** How long an idle plaintext connection is kept. */
const plainIdleMs = 60_000;
/** Milliseconds of silence before TCP asks whether the peer is still there. */
const keepAliveInitialDelay = 30_000;
/** Ports of one endpoint: an application may dial any of them. Beyond it idle ones go. */
const poolsMax = 256;

export function openEndpoint(place: EndpointPlace, own: Identity): EndpointUpstreams {
  return place.plainAddress === null ? overMtls(place, own) : inPlaintext(place, place.plainAddress);
}

function overMtls(place: EndpointPlace, own: Identity): EndpointUpstreams {
  const describe = `${place.config.workload} (${place.config.address})`;
  const requests = new InnerUpstream({ connect: () => connectMtls(place, own, { alpn: alpnInner }), describe });
  const upgrades = new PoolsByPort(
    (port) =>
      new Http1Pool({
        connect: () => connectMtls(place, own, { alpn: alpnHttp1, port }),
        limits: defaultLimits,
        idleMs: upgradeIdleMs,
        connectTimeoutMs: peerConnectTimeoutMs,
        describe,
      }),
  );
  return {
    upstream: ({ isUpgrade, port }) => (isUpgrade ? upgrades.get(port) : requests),
    drain: () => {
      requests.drain();
      upgrades.drain();
    },
    close: (gone) => {
      requests.peerGone(gone);
      requests.close();
      upgrades.close(gone);
    },
  };
}

function inPlaintext({ config }: EndpointPlace, host: string): EndpointUpstreams {
  const pools = new PoolsByPort(
    (port) =>
      new Http1Pool({
        connect: () => connectPlain(host, port),
        limits: defaultLimits,
        idleMs: plainIdleMs,
        connectTimeoutMs: tcpConnectTimeoutMs,
        describe: `${config.workload} (${host}:${port})`,
      }),
  );
  return {
    upstream: ({ port }) => pools.get(port),
    drain: () => pools.drain(),
    close: (gone) => pools.close(gone),
  };
}

class PoolsByPort {
  readonly #open: (port: number) => Http1Pool;
  readonly #pools = new Map<number, Http1Pool>();

  constructor(open: (port: number) => Http1Pool) {
    this.#open = open;
  }

  get(port: number): Http1Pool {
    let pool = this.#pools.get(port);
    if (pool === undefined) {
      if (this.#pools.size >= poolsMax) this.#makeRoom();
      pool = this.#open(port);
      this.#pools.set(port, pool);
    }
    return pool;
  }

  drain(): void {
    for (const pool of this.#pools.values()) pool.drain();
  }

  close(gone: Failure): void {
    for (const pool of this.#pools.values()) pool.close(gone);
    this.#pools.clear();
  }

  /** Those in use stay, whatever their number: whoever is gone must be able to cut them. Sockets are what limits those. */
  #makeRoom(): void {
    for (const [port, pool] of this.#pools) {
      if (pool.connectionCount > pool.idleCount || pool.pendingCount > 0) continue;
      pool.close();
      this.#pools.delete(port);
    }
  }
}

/** A connecting socket; half-close is kept. */
export function connectPlain(host: string, port: number): net.Socket {
  return net.connect({ host, port, allowHalfOpen: true, noDelay: true, keepAlive: true, keepAliveInitialDelay });
}

/** A multiplexed connection serves every port, each request's head names its own; SNI then says the service's first. */
function connectMtls(
  { config, service }: EndpointPlace,
  identity: Identity,
  { alpn, port = service.ports[0]?.number ?? 80 }: { readonly alpn: string; readonly port?: number },
): TLSSocket {
  return connectPeer({
    address: config.address,
    port: peerPort,
    servername: sniName({ service: service.name, namespace: service.namespace, port, subset: config.version }),
    alpn,
    expectedIdentity: service.identity,
    identity,
    timeoutMs: peerConnectTimeoutMs,
  });
}
