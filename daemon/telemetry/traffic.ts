// What flows now: the last ten seconds per edge, and each edge's totals since the daemon started.
import { type Growth, type HttpTotal, requestsOf, type TcpTotal } from "./ledger.ts";
import { bucketCount, quantileMs } from "./quantile.ts";

export const windowMs = 10_000;
const slotMs = 1_000;
/** Edges kept apart; later ones are not shown (their requests still count in the totals and in /metrics). */
export const edgesMax = 2_000;
/** Containers kept apart. */
const workloadsMax = 2_000;
/** An error that is older says nothing about now. */
const lastErrorMaxMs = 5 * 60_000;

/** One direction between two services, by version of the callee. */
export interface EdgeKey {
  readonly from: string;
  readonly to: string;
  /** Null: no endpoint was chosen, or the service has no versions. */
  readonly version: string | null;
  readonly protocol: "http" | "tcp";
}

interface Cell {
  requests: number;
  errors: number;
  /** Requests of which it is known whether mTLS carried them, and those that it did. Istio's source does not know. */
  judged: number;
  secured: number;
  readonly buckets: number[];
}

export interface Rates {
  readonly rps: number;
  readonly errorRatio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Null: nothing was seen, or nobody could tell. */
  readonly mtlsRatio: number | null;
}

export interface LastError {
  readonly text: string;
  /** By the clock that `add` was given. */
  readonly at: number;
}

export interface EdgeTraffic extends EdgeKey, Rates {
  readonly requests: number;
  readonly errors: number;
}

/** By slot number; old ones are dropped when new ones come. */
type Slots = Map<number, Cell>;

interface EdgeRecord extends EdgeKey {
  requests: number;
  errors: number;
  readonly slots: Slots;
}

export class Traffic {
  readonly #edges = new Map<string, EdgeRecord>();
  /** By the name of the container that was called. */
  readonly #workloads = new Map<string, Slots>();
  readonly #lastErrors = new Map<string, LastError>();
  #firstAt: number | null = null;

  /** `now` in milliseconds of a clock that never steps. */
  add({ http, tcp }: Growth, now: number): void {
    this.#firstAt ??= now;
    for (const total of http) this.#addHttp(total, now);
    for (const total of tcp) this.#addTcp(total, now);
  }

  #addHttp({ labels, counts }: HttpTotal, now: number): void {
    const edge = this.#edge(labels, "http");
    if (edge === null) return;
    const requests = requestsOf(counts);
    judge(cellAt(edge.slots, now), labels.security, requests);
    if (!isCounted(labels)) return;
    const isError = labels.status >= 500;
    for (const cell of this.#cells(edge, labels.destinationWorkload, now)) {
      count(cell, requests, isError);
      counts.buckets.forEach((n, i) => {
        cell.buckets[i] = (cell.buckets[i] ?? 0) + n;
      });
    }
    edge.requests += requests;
    if (!isError) return;
    edge.errors += requests;
    const flags = labels.flags === "-" || labels.flags === "" ? "" : ` ${labels.flags}`;
    this.#lastErrors.set(edge.to, { text: `${labels.status}${flags} to ${edge.from}`, at: now });
  }

  #addTcp({ labels, counts }: TcpTotal, now: number): void {
    const edge = this.#edge(labels, "tcp");
    if (edge === null) return;
    judge(cellAt(edge.slots, now), labels.security, counts.opened);
    if (!isCounted(labels)) return;
    const isError = labels.flags !== "-" && labels.flags !== "";
    for (const cell of this.#cells(edge, labels.destinationWorkload, now)) count(cell, counts.opened, isError);
    edge.requests += counts.opened;
    if (!isError || counts.opened === 0) return;
    edge.errors += counts.opened;
    this.#lastErrors.set(edge.to, { text: `connection ${labels.flags} from ${edge.from}`, at: now });
  }

  /** Where a request is counted: on its edge, and on the container that it reached. */
  #cells({ slots }: EdgeRecord, workload: string, now: number): readonly Cell[] {
    const isKept = isKnown(workload) && (this.#workloads.has(workload) || this.#workloads.size < workloadsMax);
    if (!isKept) return [cellAt(slots, now)];
    const own = this.#workloads.get(workload) ?? new Map();
    this.#workloads.set(workload, own);
    return [cellAt(slots, now), cellAt(own, now)];
  }

  #edge(labels: HttpTotal["labels"] | TcpTotal["labels"], protocol: "http" | "tcp"): EdgeRecord | null {
    const version = labels.destinationVersion;
    const key: EdgeKey = {
      from: labels.sourceService,
      to: labels.destinationService,
      version: isKnown(version) ? version : null,
      protocol,
    };
    const text = JSON.stringify(key);
    const known = this.#edges.get(text);
    if (known !== undefined || this.#edges.size >= edgesMax) return known ?? null;
    const edge: EdgeRecord = { ...key, requests: 0, errors: 0, slots: new Map() };
    this.#edges.set(text, edge);
    return edge;
  }

  edges(now: number): readonly EdgeTraffic[] {
    const seconds = this.#seconds(now);
    return [...this.#edges.values()]
      .filter(({ requests }) => requests > 0)
      .map(({ slots, ...edge }) => ({ ...edge, ...ratesOf(cellsOf(slots, now), seconds) }));
  }

  /** Of everything that is called, HTTP alone: a connection is no request. */
  totals(now: number): Rates {
    return this.#rates(now, ({ protocol }) => protocol === "http");
  }

  service(name: string, now: number): Rates & { readonly lastError: LastError | null } {
    const rates = this.#rates(now, ({ to }) => to === name);
    const last = this.#lastErrors.get(name);
    return { ...rates, lastError: last !== undefined && now - last.at < lastErrorMaxMs ? last : null };
  }

  /** Of what reached this container, by its name. */
  workload(name: string, now: number): Rates {
    return ratesOf(cellsOf(this.#workloads.get(name) ?? new Map(), now), this.#seconds(now));
  }

  /** Share of each version in the requests (or connections) of the last window that reached one: 0 to 1. */
  seen(service: string, now: number): ReadonlyMap<string, number> {
    const counts = new Map<string, number>();
    for (const edge of this.#edges.values()) {
      if (edge.to !== service || edge.version === null) continue;
      const n = cellsOf(edge.slots, now).reduce((sum, { requests }) => sum + requests, 0);
      counts.set(edge.version, (counts.get(edge.version) ?? 0) + n);
    }
    const sum = [...counts.values()].reduce((a, b) => a + b, 0);
    return new Map([...counts].map(([version, n]) => [version, sum === 0 ? 0 : n / sum]));
  }

  #rates(now: number, isWanted: (edge: EdgeKey) => boolean): Rates {
    const cells = [...this.#edges.values()].filter(isWanted).flatMap(({ slots }) => cellsOf(slots, now));
    return ratesOf(cells, this.#seconds(now));
  }

  /** Young windows are divided by what they hold, so that the first numbers are not ten times too small. */
  #seconds(now: number): number {
    return Math.min(windowMs, Math.max(slotMs, now - (this.#firstAt ?? now))) / 1000;
  }
}

/**
 * Both ends report each request between sidecars, by mTLS or in plaintext; only the source's counts then. What came from
 * outside the mesh has one report, the destination's, whose source proved no identity and has no container's address.
 */
function isCounted(labels: { reporter: string; sourcePrincipal: string; sourceWorkload: string }): boolean {
  return (
    labels.reporter === "source" || !(labels.sourcePrincipal.startsWith("spiffe://") || isKnown(labels.sourceWorkload))
  );
}

function isKnown(label: string): boolean {
  return label !== "unknown" && label !== "";
}

function count(cell: Cell, requests: number, isError: boolean): void {
  cell.requests += requests;
  if (isError) cell.errors += requests;
}

function judge(cell: Cell, security: string, requests: number): void {
  if (security === "unknown") return;
  cell.judged += requests;
  if (security === "mutual_tls") cell.secured += requests;
}

function cellAt(slots: Slots, now: number): Cell {
  const slot = Math.floor(now / slotMs);
  const known = slots.get(slot);
  if (known !== undefined) return known;
  for (const old of slots.keys()) if (old <= slot - windowMs / slotMs) slots.delete(old);
  const cell: Cell = { requests: 0, errors: 0, judged: 0, secured: 0, buckets: new Array<number>(bucketCount).fill(0) };
  slots.set(slot, cell);
  return cell;
}

function cellsOf(slots: Slots, now: number): Cell[] {
  const oldest = Math.floor(now / slotMs) - windowMs / slotMs;
  return [...slots].filter(([slot]) => slot > oldest).map(([, cell]) => cell);
}

function ratesOf(cells: readonly Cell[], seconds: number): Rates {
  const sum = (of: (cell: Cell) => number): number => cells.reduce((total, cell) => total + of(cell), 0);
  const requests = sum(({ requests }) => requests);
  const judged = sum(({ judged }) => judged);
  const buckets = Array.from({ length: bucketCount }, (_, i) => sum((cell) => cell.buckets[i] ?? 0));
  return {
    rps: requests / seconds,
    errorRatio: requests === 0 ? 0 : sum(({ errors }) => errors) / requests,
    p50Ms: quantileMs(buckets, 0.5),
    p99Ms: quantileMs(buckets, 0.99),
    mtlsRatio: judged === 0 ? null : sum(({ secured }) => secured) / judged,
  };
}
