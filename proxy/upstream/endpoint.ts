// One endpoint of a service as this proxy sees it: its connections, its load, whether connecting to it failed lately.
// Keyed by container id outside the config, so that pools and counters survive every reload.
import type { EndpointConfig, ServiceConfig } from "../contract/config.ts";
import type { Failure } from "../http/failure.ts";
import type { Upstream } from "../http/stream.ts";
import type { Target } from "../route/routing.ts";

/**
 * After a failed connect other endpoints are preferred for this long: the daemon's word takes a moment to arrive. Doubled
 * for each further failure in a row, up to the maximum: while no daemon runs nobody says that a container has ended.
 */
const avoidMs = { first: 1000, max: 16_000 } as const;

export interface EndpointUpstreams {
  /** Requests, multiplexed over one TLS connection. */
  readonly requests: Upstream & { drain(): void; peerGone(reason: Failure): void };
  /** Requests that ask for an Upgrade, by the application's port: one TLS connection each. */
  upgrades(port: number): Upstream;
  close(): void;
}

export class Endpoint implements Target {
  readonly id: string;
  readonly #open: (config: EndpointConfig, service: ServiceConfig) => EndpointUpstreams;
  readonly #service: ServiceConfig;
  #config: EndpointConfig;
  #upstreams: EndpointUpstreams | null = null;
  #avoidUntil = 0;
  #failuresInARow = 0;
  /** TCP connections through this endpoint, which are not multiplexed. */
  readonly #tunnels = new Set<{ destroy(): void }>();
  active = 0;

  constructor(
    config: EndpointConfig,
    service: ServiceConfig,
    open: (config: EndpointConfig, service: ServiceConfig) => EndpointUpstreams,
  ) {
    this.id = config.id;
    this.#config = config;
    this.#service = service;
    this.#open = open;
  }

  get config(): EndpointConfig {
    return this.#config;
  }

  get host(): string {
    return this.#config.address;
  }

  get workload(): string {
    return this.#config.workload;
  }

  get version(): string {
    return this.#config.version ?? "unknown";
  }

  get isAvoided(): boolean {
    return this.#avoidUntil > performance.now();
  }

  upstream({ isUpgrade, port }: { isUpgrade: boolean; port: number }): Upstream {
    this.#upstreams ??= this.#open(this.#config, this.#service);
    return isUpgrade ? this.#upstreams.upgrades(port) : this.#upstreams.requests;
  }

  begin(): void {
    this.active++;
    // One that failed gets one request to find out whether it is back; the others go elsewhere meanwhile.
    if (this.#failuresInARow > 0) this.#avoid();
  }

  end(reason: Failure | null): void {
    this.active--;
    if (reason?.flag === "UF" || reason?.flag === "UC") this.#avoid();
    else if (reason === null) {
      this.#avoidUntil = 0;
      this.#failuresInARow = 0;
    }
  }

  /** Requests that fail together are one failure. */
  #avoid(): void {
    if (this.isAvoided) return;
    const forMs = Math.min(avoidMs.first * 2 ** this.#failuresInARow, avoidMs.max);
    this.#failuresInARow++;
    this.#avoidUntil = performance.now() + forMs;
  }

  /** A connection that is destroyed when the container is gone, since a dead container says nothing; the result lets go of it. */
  carry(tunnel: { destroy(): void }): () => void {
    this.#tunnels.add(tunnel);
    return () => this.#tunnels.delete(tunnel);
  }

  /** A container of the same id that was started anew, or has another address: its old connections lead nowhere. */
  update(config: EndpointConfig, gone: Failure): void {
    const isMoved = config.address !== this.#config.address || config.startedAt !== this.#config.startedAt;
    this.#config = config;
    if (!isMoved) return;
    this.#avoidUntil = 0;
    this.#failuresInARow = 0;
    this.close(gone);
  }

  /** Takes nothing new; `close` follows when its proxy had a moment to say what it did not pass on. */
  retire(): void {
    this.#upstreams?.requests.drain();
  }

  /** The container is gone: what is under way fails now, not at a timeout. */
  close(gone: Failure): void {
    this.#upstreams?.requests.peerGone(gone);
    this.#upstreams?.close();
    this.#upstreams = null;
    for (const tunnel of this.#tunnels) tunnel.destroy();
    this.#tunnels.clear();
  }
}
