// All endpoints that this proxy knows, kept across reloads, and the choice among them.
import type { EndpointConfig, ServiceConfig } from "../contract/config.ts";
import { failure } from "../http/failure.ts";
import type { Random } from "../route/split.ts";
import type { Table } from "../route/table.ts";
import { leastRequest } from "./balance.ts";
import { Endpoint, type EndpointUpstreams } from "./endpoint.ts";

/**
 * A container that ended leaves its proxy behind for a moment, which says of each request whether it was passed on: one
 * that was not can go elsewhere. After this nothing more is expected.
 */
export const lastWordsMs = 200;

export class Endpoints {
  readonly #byId = new Map<string, Endpoint>();
  /** Gone, but heard out. */
  readonly #retired = new Map<Endpoint, NodeJS.Timeout>();
  readonly #open: (config: EndpointConfig, service: ServiceConfig) => EndpointUpstreams;
  readonly #random: Random;
  readonly #listeners = new Set<() => void>();
  #ownAddresses: readonly string[] = [];

  constructor(deps: { random: Random; open: (config: EndpointConfig, service: ServiceConfig) => EndpointUpstreams }) {
    this.#open = deps.open;
    this.#random = deps.random;
  }

  /** Follows a new table: endpoints that it does not have any more take nothing new, and soon lose their connections. */
  apply(table: Table): void {
    this.#followOwnAddresses(table);
    const seen = new Set<string>();
    for (const service of table.services.values()) {
      for (const config of service.endpoints) {
        seen.add(config.id);
        const known = this.#byId.get(config.id);
        const gone = failure(
          "UC",
          503,
          "upstream_reset_before_response_started{connection_termination}",
          `${config.workload} was restarted`,
        );
        if (known !== undefined) known.update(config, gone);
        else this.#byId.set(config.id, new Endpoint(config, service.config, this.#open));
      }
    }
    for (const [id, endpoint] of this.#byId) {
      if (seen.has(id)) continue;
      this.#byId.delete(id);
      endpoint.retire();
      this.#retired.set(
        endpoint,
        setTimeout(() => this.#bury(endpoint), lastWordsMs),
      );
    }
    for (const listener of [...this.#listeners]) listener();
  }

  #bury(endpoint: Endpoint): void {
    clearTimeout(this.#retired.get(endpoint));
    this.#retired.delete(endpoint);
    const detail = "upstream_reset_before_response_started{connection_termination}";
    endpoint.close(failure("UC", 503, detail, `${endpoint.workload} stopped while it was answering`));
  }

  /** Connections from an address that was taken away hear nothing any more, and nobody tells them. */
  #followOwnAddresses({ node: { addresses } }: Table): void {
    const isOneLost = this.#ownAddresses.some((address) => !addresses.includes(address));
    this.#ownAddresses = addresses;
    if (!isOneLost) return;
    const detail = "upstream_reset_before_response_started{connection_termination}";
    const gone = failure("UC", 503, detail, "this container was disconnected from a network");
    for (const endpoint of this.#byId.values()) endpoint.close(gone);
  }

  get(id: string): Endpoint | null {
    return this.#byId.get(id) ?? null;
  }

  /** One of the candidates: not tried before if possible, not failing lately if possible. Null: there are none. */
  pick(candidates: readonly EndpointConfig[], tried: readonly unknown[]): Endpoint | null {
    let endpoints = candidates.flatMap((config) => this.#byId.get(config.id) ?? []);
    if (tried.length > 0) endpoints = preferred(endpoints, (endpoint) => !tried.includes(endpoint));
    if (endpoints.length > 1) endpoints = preferred(endpoints, (endpoint) => !endpoint.isAvoided);
    return leastRequest(endpoints, this.#random);
  }

  /** Calls back after every change of the table until cancelled. */
  onChange(callback: () => void): () => void {
    this.#listeners.add(callback);
    return () => this.#listeners.delete(callback);
  }

  close(): void {
    for (const endpoint of this.#retired.keys()) this.#bury(endpoint);
    for (const endpoint of this.#byId.values())
      endpoint.close(failure("LR", 503, "local_reset", "the proxy is stopping"));
    this.#byId.clear();
  }
}

function preferred<T>(all: T[], isPreferred: (item: T) => boolean): T[] {
  const some = all.filter(isPreferred);
  return some.length > 0 ? some : all;
}
