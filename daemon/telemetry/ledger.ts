// Totals that never go down: proxies count since their own start, so what is added is each process's growth.
import type { Edge, HttpSeries, Report, TcpSeries } from "../../proxy/contract/report.ts";
import { bucketCount } from "./quantile.ts";

/** Series of each kind that are kept apart; later ones are counted together as "other". */
export const seriesMax = 10_000;
/** Of one proxy's process; it folds what goes beyond 5,000 itself. */
const processSeriesMax = 20_000;

type Numbers<S> = { -readonly [K in keyof S as S[K] extends number ? K : never]: number };
export type HttpCounts = Omit<Numbers<HttpSeries>, "status"> & { buckets: number[] };
export type TcpCounts = Numbers<TcpSeries>;
export type HttpLabels = Edge & Pick<HttpSeries, "protocol" | "status">;

export interface HttpTotal {
  readonly labels: HttpLabels;
  readonly counts: HttpCounts;
}
export interface TcpTotal {
  readonly labels: Edge;
  readonly counts: TcpCounts;
}

/** What one report added. */
export interface Growth {
  readonly http: readonly HttpTotal[];
  readonly tcp: readonly TcpTotal[];
}

interface Process {
  readonly boot: string;
  readonly http: Map<string, HttpCounts>;
  readonly tcp: Map<string, TcpCounts>;
}

export class Ledger {
  /** By proxy: what its running process had counted at its last report. */
  readonly #processes = new Map<string, Process>();
  readonly #http = new Map<string, HttpTotal>();
  readonly #tcp = new Map<string, TcpTotal>();
  #seriesFolded = 0;
  readonly #seriesMax: number;

  constructor(max = seriesMax) {
    this.#seriesMax = max;
  }

  get http(): Iterable<HttpTotal> {
    return this.#http.values();
  }

  get tcp(): Iterable<TcpTotal> {
    return this.#tcp.values();
  }

  /** Growths that were counted as "other", or not at all. */
  get seriesFolded(): number {
    return this.#seriesFolded;
  }

  add(proxy: string, report: Report): Growth {
    const last = this.#processes.get(proxy);
    const before = last?.boot === report.boot ? last : null;
    // After a whole report nothing older is kept: series of a proxy's past do not pile up here.
    const isPartial = report.isPartial === true && before !== null;
    const next = isPartial ? before : { boot: report.boot, http: new Map(), tcp: new Map() };
    const http: HttpTotal[] = [];
    const tcp: TcpTotal[] = [];
    for (const series of report.http) {
      const labels = httpLabels(series);
      const key = keyOf(labels);
      const counts = httpGrowth(httpCounts(series), before?.http.get(key));
      if (!this.#keep(next.http, key, httpCounts(series))) continue;
      if (!isGrowth(counts)) continue;
      http.push({ labels, counts });
      const total = this.#totalOf(this.#http, key, { labels, counts: noHttp() }, () => otherHttp(labels));
      addHttp(total.counts, counts);
    }
    for (const series of report.tcp) {
      const labels = edgeOf(series);
      const key = keyOf(labels);
      const counts = tcpGrowth(tcpCounts(series), before?.tcp.get(key));
      if (!this.#keep(next.tcp, key, tcpCounts(series))) continue;
      if (!isGrowth(counts)) continue;
      tcp.push({ labels, counts });
      const total = this.#totalOf(this.#tcp, key, { labels, counts: noTcp() }, () => otherEdge(labels));
      addTcp(total.counts, counts);
    }
    this.#processes.set(proxy, next);
    return { http, tcp };
  }

  /** False: one process has more series than any proxy keeps, and this one is not counted. */
  #keep<C>(counts: Map<string, C>, key: string, next: C): boolean {
    if (counts.size >= processSeriesMax && !counts.has(key)) {
      this.#seriesFolded++;
      return false;
    }
    counts.set(key, next);
    return true;
  }

  /** The proxy is gone: its totals stay, the memory of its process goes. */
  forget(proxy: string): void {
    this.#processes.delete(proxy);
  }

  #totalOf<T extends { labels: Edge }>(totals: Map<string, T>, key: string, fresh: T, other: () => T["labels"]): T {
    const known = totals.get(key);
    if (known !== undefined) return known;
    if (totals.size < this.#seriesMax) {
      totals.set(key, fresh);
      return fresh;
    }
    // The sums stay right whatever the labels were; "other" itself is a handful of series.
    this.#seriesFolded++;
    const labels = other();
    const folded = totals.get(keyOf(labels)) ?? { ...fresh, labels };
    totals.set(keyOf(labels), folded);
    return folded;
  }
}

function edgeOf(series: Edge): Edge {
  return {
    reporter: series.reporter,
    sourceWorkload: series.sourceWorkload,
    sourceService: series.sourceService,
    sourceVersion: series.sourceVersion,
    sourcePrincipal: series.sourcePrincipal,
    destinationWorkload: series.destinationWorkload,
    destinationService: series.destinationService,
    destinationVersion: series.destinationVersion,
    destinationPrincipal: series.destinationPrincipal,
    security: series.security,
    flags: series.flags,
  };
}

function httpLabels(series: HttpSeries): HttpLabels {
  return { ...edgeOf(series), protocol: series.protocol, status: series.status };
}

/** Labels are always built in the same order, so equal ones give equal text. */
function keyOf(labels: Edge): string {
  return JSON.stringify(labels);
}

function otherEdge({ reporter }: Edge): Edge {
  const other = "other";
  return {
    reporter,
    sourceWorkload: other,
    sourceService: other,
    sourceVersion: other,
    sourcePrincipal: other,
    destinationWorkload: other,
    destinationService: other,
    destinationVersion: other,
    destinationPrincipal: other,
    security: "unknown",
    flags: other,
  };
}

function otherHttp({ status, protocol, ...edge }: HttpLabels): HttpLabels {
  // By class: 1xx to 5xx, so that folding itself is bounded.
  return { ...otherEdge(edge), protocol, status: Math.floor(status / 100) * 100 };
}

function httpCounts({ buckets, sumMs, requestBytes, responseBytes, retries }: HttpSeries): HttpCounts {
  return { buckets: [...buckets], sumMs, requestBytes, responseBytes, retries };
}

function tcpCounts({ opened, closed, sentBytes, receivedBytes }: TcpSeries): TcpCounts {
  return { opened, closed, sentBytes, receivedBytes };
}

const noHttp = (): HttpCounts => ({
  buckets: new Array<number>(bucketCount).fill(0),
  sumMs: 0,
  requestBytes: 0,
  responseBytes: 0,
  retries: 0,
});
const noTcp = (): TcpCounts => ({ opened: 0, closed: 0, sentBytes: 0, receivedBytes: 0 });

/** Never below 0: a proxy that counts backwards is broken, and totals must not follow it. */
const grown = (next: number, before: number): number => Math.max(0, next - before);

function httpGrowth(next: HttpCounts, before = noHttp()): HttpCounts {
  return {
    buckets: next.buckets.map((n, i) => grown(n, before.buckets[i] ?? 0)),
    sumMs: grown(next.sumMs, before.sumMs),
    requestBytes: grown(next.requestBytes, before.requestBytes),
    responseBytes: grown(next.responseBytes, before.responseBytes),
    retries: grown(next.retries, before.retries),
  };
}

function tcpGrowth(next: TcpCounts, before = noTcp()): TcpCounts {
  return {
    opened: grown(next.opened, before.opened),
    closed: grown(next.closed, before.closed),
    sentBytes: grown(next.sentBytes, before.sentBytes),
    receivedBytes: grown(next.receivedBytes, before.receivedBytes),
  };
}

function isGrowth(counts: HttpCounts | TcpCounts): boolean {
  return Object.values(counts).some((n) => (Array.isArray(n) ? n.some((one) => one > 0) : n > 0));
}

export function addHttp(to: HttpCounts, counts: HttpCounts): void {
  counts.buckets.forEach((n, i) => {
    to.buckets[i] = (to.buckets[i] ?? 0) + n;
  });
  to.sumMs += counts.sumMs;
  to.requestBytes += counts.requestBytes;
  to.responseBytes += counts.responseBytes;
  to.retries += counts.retries;
}

function addTcp(to: TcpCounts, counts: TcpCounts): void {
  to.opened += counts.opened;
  to.closed += counts.closed;
  to.sentBytes += counts.sentBytes;
  to.receivedBytes += counts.receivedBytes;
}

export function requestsOf(counts: Pick<HttpCounts, "buckets">): number {
  return counts.buckets.reduce((sum, n) => sum + n, 0);
}
