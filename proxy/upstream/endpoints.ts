// All endpoints that this proxy knows, kept across reloads, and the choice among them.
import type { EndpointConfig } from "../contract/config.ts";
import { type Failure, failure } from "../http/failure.ts";
import type { Random } from "../route/split.ts";
import type { Table } from "../route/table.ts";
import { leastRequest } from "./balance.ts";
import { Endpoint, type EndpointPlace, type EndpointUpstreams } from "./endpoint.ts";

/**
 * A container that ended leaves its proxy behind for a moment, which says of each request whether it was passed on: one
 * that was not can go elsewhere. After this nothing more is expected.
 */
export const lastWordsMs = 200;

export class Endpoints {
  readonly #byId = new Map<string, Endpoint>();
  /** Gone, but heard out. */
  readonly #retired = new Map<Endpoint, NodeJS.Timeout>();
  readonly #open: (place: EndpointPlace) => EndpointUpstreams;
  readonly #random: Random;
  readonly #listeners = new Set<() => void>();
  #ownAddresses: readonly string[] = [];

  constructor(deps: { random: Random; open: (place: EndpointPlace) => EndpointUpstreams }) {
    this.#open = deps.open;
    this.#random = deps.random;
  }

  /**
   * Follows a new table: endpoints that it does not have any more take nothing new, and soon lose their connections. What is
   * cut is cut last: a request may be tried again at once, and must find every endpoint as the table has it.
   */
  apply(table: Table): void {
    const cuts = this.#cutsOfOwnAddresses(table);
    const seen = new Set<string>();
    for (const service of table.services.values()) {
      for (const config of service.endpoints) {
        seen.add(config.id);
        const plainAddress = service.plainAddresses.get(config.id) ?? null;
        const cut = this.#follow({ config, service: service.config, plainAddress });
        if (cut !== null) cuts.push(cut);
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
    for (const cut of cuts) cut();
    for (const listener of [...this.#listeners]) listener();
  }

  #follow(place: EndpointPlace): (() => void) | null {
    const { id, workload } = place.config;
    const known = this.#byId.get(id);
    if (known === undefined) {
      this.#byId.set(id, new Endpoint(place, this.#open));
      return null;
    }
    if (!known.update(place)) return null;
    const cut = known.detach();
    return () => cut(terminated(`${workload} was restarted`));
  }

  #bury(endpoint: Endpoint): void {
    clearTimeout(this.#retired.get(endpoint));
    this.#retired.delete(endpoint);
    endpoint.close(terminated(`${endpoint.workload} stopped while it was answering`));
  }

  /** Connections from an address that was taken away hear nothing any more, and nobody tells them. */
  #cutsOfOwnAddresses({ node: { addresses } }: Table): (() => void)[] {
    const isOneLost = this.#ownAddresses.some((address) => !addresses.includes(address));
    this.#ownAddresses = addresses;
    if (!isOneLost) return [];
    const gone = terminated("this container was disconnected from a network");
    const cuts = [...this.#byId.values()].map((endpoint) => endpoint.detach());
    return cuts.map((cut) => () => cut(gone));
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

function terminated(reason: string): Failure {
  const detail = "upstream_reset_before_response_started{connection_termination}";
  return failure("UC", 503, detail, reason);
}
