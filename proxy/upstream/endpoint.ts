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

/** Where an endpoint is, and how it is reached. */
export interface EndpointPlace {
  readonly config: EndpointConfig;
  readonly service: ServiceConfig;
  /** Its address on a network that both share, where its service takes plaintext (`mtls: disable`); null: mTLS. */
  readonly plainAddress: string | null;
}

/** The connections of one place. */
export interface EndpointUpstreams {
  /** `isUpgrade`: the request may end in a 101, which needs a connection of its own. `port` is the application's. */
  upstream(request: { readonly isUpgrade: boolean; readonly port: number }): Upstream;
  /** Nothing new: idle connections close, the others when they are done. */
  drain(): void;
  /** What is under way fails with this. */
  close(gone: Failure): void;
}

export class Endpoint implements Target {
  readonly id: string;
  readonly #open: (place: EndpointPlace) => EndpointUpstreams;
  #place: EndpointPlace;
  /** By plaintext address, or "" for mTLS: a service that changes between them finishes what it has. */
  readonly #upstreams = new Map<string, EndpointUpstreams>();
  #avoidUntil = 0;
  #failuresInARow = 0;
  /** TCP connections through this endpoint, which are not multiplexed. */
  readonly #tunnels = new Set<{ destroy(): void }>();
  active = 0;

  constructor(place: EndpointPlace, open: (place: EndpointPlace) => EndpointUpstreams) {
    this.id = place.config.id;
    this.#place = place;
    this.#open = open;
  }

  get config(): EndpointConfig {
    return this.#place.config;
  }

  get plainAddress(): string | null {
    return this.#place.plainAddress;
  }

  get host(): string {
    return this.plainAddress ?? this.config.address;
  }

  get workload(): string {
    return this.config.workload;
  }

  get version(): string {
    return this.config.version ?? "unknown";
  }

  get security(): "mutual_tls" | "none" {
    return this.plainAddress === null ? "mutual_tls" : "none";
  }

  get isAvoided(): boolean {
    return this.#avoidUntil > performance.now();
  }

  upstream(request: { isUpgrade: boolean; port: number }): Upstream {
    const key = this.plainAddress ?? "";
    let upstreams = this.#upstreams.get(key);
    if (upstreams === undefined) {
      upstreams = this.#open(this.#place);
      this.#upstreams.set(key, upstreams);
    }
    return upstreams.upstream(request);
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

  /** True when it is another place: the container was started anew or has another address, so its old connections lead nowhere. */
  update(place: EndpointPlace): boolean {
    const { config, service, plainAddress } = this.#place;
    this.#place = place;
    const isMoved =
      place.config.address !== config.address ||
      place.config.startedAt !== config.startedAt ||
      place.service.identity !== service.identity ||
      // Also when plaintext goes on at another address; a change between plaintext and mTLS cuts nothing.
      (plainAddress !== null && place.plainAddress !== null && place.plainAddress !== plainAddress);
    if (isMoved) {
      this.#avoidUntil = 0;
      this.#failuresInARow = 0;
    }
    return isMoved;
  }

  /** Takes nothing new; `close` follows when its proxy had a moment to say what it did not pass on. */
  retire(): void {
    for (const upstreams of this.#upstreams.values()) upstreams.drain();
  }

  /**
   * Lets go of all connections; the result cuts them. Between the two, whatever is cut can be tried again elsewhere, and
   * even here, and finds only what leads somewhere.
   */
  detach(): (gone: Failure) => void {
    const upstreams = [...this.#upstreams.values()];
    const tunnels = [...this.#tunnels];
    this.#upstreams.clear();
    this.#tunnels.clear();
    return (gone) => {
      for (const one of upstreams) one.close(gone);
      for (const tunnel of tunnels) tunnel.destroy();
    };
  }

  /** The container is gone: what is under way fails now, not at a timeout. */
  close(gone: Failure): void {
    this.detach()(gone);
  }
}
