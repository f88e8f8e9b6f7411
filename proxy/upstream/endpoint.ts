// One endpoint of a service as this proxy sees it: its connections, its load, whether connecting to it failed lately.
// Keyed by container id outside the config, so that pools and counters survive every reload.
import type { EndpointConfig, ServiceConfig } from "../contract/config.ts";
import type { Failure } from "../http/failure.ts";
import type { Upstream } from "../http/stream.ts";
import type { Target } from "../route/routing.ts";

/** After a failed connect other endpoints are preferred for this long: the daemon's word takes a moment to arrive. */
const avoidForMs = 1000;

export interface EndpointUpstreams {
  /** Requests, multiplexed over one TLS connection. */
  readonly requests: Upstream & { peerGone(reason: Failure): void };
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
  }

  end(reason: Failure | null): void {
    this.active--;
    if (reason?.flag === "UF" || reason?.flag === "UC") this.#avoidUntil = performance.now() + avoidForMs;
    else if (reason === null) this.#avoidUntil = 0;
  }

  /** A new address is another container of the same id after a restart: its old connections lead nowhere. */
  update(config: EndpointConfig, gone: Failure): void {
    const isMoved = config.address !== this.#config.address;
    this.#config = config;
    if (isMoved) this.close(gone);
  }

  /** The container is gone: what is under way fails now, not at a timeout. */
  close(gone: Failure): void {
    this.#upstreams?.requests.peerGone(gone);
    this.#upstreams?.close();
    this.#upstreams = null;
  }
}
