// Holds the config in force: applies a new one as one step, keeps what must survive it.

import type { ProxyConfig } from "./contract/config.ts";
import type { ProxyContext } from "./listener/context.ts";
import { openEndpoint } from "./listener/peer-upstreams.ts";
import type { Random } from "./route/split.ts";
import { Splits } from "./route/split.ts";
import { buildTable, type Table } from "./route/table.ts";
import type { AccessLog } from "./telemetry/access-log.ts";
import type { Counters } from "./telemetry/counters.ts";
import type { Identity } from "./tls/identity.ts";
import { Applications } from "./upstream/application.ts";
import { Endpoints } from "./upstream/endpoints.ts";

export class Engine {
  readonly context: ProxyContext;
  readonly #splits: Splits;
  readonly #onApplied: (table: Table) => void;
  #table: Table | null = null;

  constructor(deps: {
    identity: Identity;
    counters: Counters;
    log: AccessLog;
    random: Random;
    /** After each swap: the resolver's names, a gateway's listeners. */
    onApplied: (table: Table) => void;
    /** A connection to the application behind this proxy was refused. */
    onRefused?: () => void;
  }) {
    this.#splits = new Splits(deps.random);
    this.#onApplied = deps.onApplied;
    const endpoints: Endpoints = new Endpoints({
      random: deps.random,
      open: (place) => openEndpoint(place, deps.identity),
    });
    this.context = {
      table: () => this.table,
      endpoints,
      applications: new Applications(deps.onRefused),
      identity: deps.identity,
      counters: deps.counters,
      log: deps.log,
      random: deps.random,
    };
  }

  get isConfigured(): boolean {
    return this.#table !== null;
  }

  get table(): Table {
    if (this.#table === null) throw new Error("the table was asked for before the first config");
    return this.#table;
  }

  /** Builds beside the old, swaps one reference, then tells who must follow. Throws, and changes nothing, when it cannot be built. */
  apply(config: ProxyConfig): void {
    const table = buildTable(config, this.#splits);
    this.#table = table;
    this.context.endpoints.apply(table);
    this.#onApplied(table);
  }

  close(): void {
    this.context.endpoints.close();
    this.context.applications.close();
  }
}
