// What flows now: the last ten seconds per edge, and each edge's totals since the daemon started.
import { type Growth, type HttpTotal, requestsOf, type TcpTotal } from "./ledger.ts";
import { bucketCount, quantileMs } from "./quantile.ts";

export const windowMs = 10_000;
const slotMs = 1_000;
/** Edges kept apart; later ones are not shown (their requests still count in the totals and in /metrics). */
export const edgesMax = 2_000;

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

export interface EdgeTraffic extends EdgeKey, Rates {
  readonly requests: number;
  readonly errors: number;
}

interface EdgeRecord extends EdgeKey {
  requests: number;
  errors: number;
  /** By slot number; old ones are dropped when new ones come. */
  readonly slots: Map<number, Cell>;
}

export class Traffic {
  readonly #edges = new Map<string, EdgeRecord>();
  readonly #lastErrors = new Map<string, string>();
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
    const cell = cellAt(edge, now);
    const requests = requestsOf(counts);
    judge(cell, labels.security, requests);
    if (!isCounted(labels)) return;
    const isError = labels.status >= 500;
    cell.requests += requests;
    edge.requests += requests;
    if (isError) {
      cell.errors += requests;
      edge.errors += requests;
      const flags = labels.flags === "-" || labels.flags === "" ? "" : ` ${labels.flags}`;
      this.#lastErrors.set(edge.to, `${labels.status}${flags} to ${edge.from}`);
    }
    counts.buckets.forEach((n, i) => {
      cell.buckets[i] = (cell.buckets[i] ?? 0) + n;
    });
  }

  #addTcp({ labels, counts }: TcpTotal, now: number): void {
    const edge = this.#edge(labels, "tcp");
    if (edge === null) return;
    const cell = cellAt(edge, now);
    judge(cell, labels.security, counts.opened);
    if (!isCounted(labels)) return;
    const isError = labels.flags !== "-" && labels.flags !== "";
    cell.requests += counts.opened;
    edge.requests += counts.opened;
    if (!isError) return;
    cell.errors += counts.opened;
    edge.errors += counts.opened;
    this.#lastErrors.set(edge.to, `connection ${labels.flags} from ${edge.from}`);
  }

  #edge(labels: HttpTotal["labels"] | TcpTotal["labels"], protocol: "http" | "tcp"): EdgeRecord | null {
    const version = labels.destinationVersion;
    const key: EdgeKey = {
      from: labels.sourceService,
      to: labels.destinationService,
      version: version === "unknown" || version === "" ? null : version,
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

  service(name: string, now: number): Rates & { readonly lastError: string | null } {
    const rates = this.#rates(now, ({ to }) => to === name);
    return { ...rates, lastError: this.#lastErrors.get(name) ?? null };
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
 * Both ends report each request between sidecars; only the source's counts then. What came from outside the mesh
 * has one report, the destination's, whose source proved no identity.
 */
function isCounted({ reporter, sourcePrincipal }: { reporter: string; sourcePrincipal: string }): boolean {
  return reporter === "source" || !sourcePrincipal.startsWith("spiffe://");
}

function judge(cell: Cell, security: string, requests: number): void {
  if (security === "unknown") return;
  cell.judged += requests;
  if (security === "mutual_tls") cell.secured += requests;
}

function cellAt(edge: EdgeRecord, now: number): Cell {
  const slot = Math.floor(now / slotMs);
  const known = edge.slots.get(slot);
  if (known !== undefined) return known;
  for (const old of edge.slots.keys()) if (old <= slot - windowMs / slotMs) edge.slots.delete(old);
  const cell: Cell = { requests: 0, errors: 0, judged: 0, secured: 0, buckets: new Array<number>(bucketCount).fill(0) };
  edge.slots.set(slot, cell);
  return cell;
}

function cellsOf(slots: ReadonlyMap<number, Cell>, now: number): Cell[] {
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
