// Cumulative counters and histograms: plain numbers in objects found by one map look-up per request.
import {
  durationBucketsMs,
  type Edge,
  type HttpSeries,
  type ProxyCounters,
  type Report,
  type TcpSeries,
  type Told,
} from "../contract/report.ts";

/** Series beyond this are counted under destination "other": label sets must not grow without bound. */
const seriesMax = 5000;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type HttpEntry = Omit<Mutable<HttpSeries>, "buckets"> & { buckets: number[] };
type TcpEntry = Mutable<TcpSeries>;

export interface HttpObservation {
  readonly edge: Edge;
  readonly protocol: "http" | "grpc";
  readonly status: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
}

export class Counters {
  readonly boot: string;
  readonly #http = new Map<string, HttpEntry>();
  readonly #tcp = new Map<string, TcpEntry>();
  readonly #own: { -readonly [K in keyof ProxyCounters]: number } = {
    loopsClosed: 0,
    reportsDropped: 0,
    seriesDropped: 0,
    connectionsOpen: 0,
    rssBytes: 0,
    cpuUs: 0,
  };

  constructor(boot: string) {
    this.boot = boot;
  }

  observe(observation: HttpObservation): void {
    const { edge, protocol, status, durationMs } = observation;
    const key = `${edgeKey(edge)}|${protocol}|${status}`;
    let entry = this.#http.get(key);
    if (entry === undefined) {
      entry = this.#newHttp(key, edge, protocol, status);
    }
    const bucket = bucketOf(durationMs);
    entry.buckets[bucket] = (entry.buckets[bucket] ?? 0) + 1;
    entry.sumMs += durationMs;
    entry.requestBytes += observation.requestBytes;
    entry.responseBytes += observation.responseBytes;
    entry.retries += observation.retries;
  }

  /** The live entry of a TCP edge: the splice adds to its numbers directly. */
  tcp(edge: Edge): TcpEntry {
    const key = edgeKey(edge);
    const known = this.#tcp.get(key);
    if (known !== undefined) return known;
    const isFull = this.#tcp.size >= seriesMax;
    if (isFull) this.#own.seriesDropped++;
    const entry = { ...(isFull ? other(edge) : edge), opened: 0, closed: 0, sentBytes: 0, receivedBytes: 0 };
    const storedKey = isFull ? edgeKey(entry) : key;
    const stored = this.#tcp.get(storedKey) ?? entry;
    this.#tcp.set(storedKey, stored);
    return stored;
  }

  count(name: "loopsClosed" | "reportsDropped"): void {
    this.#own[name]++;
  }

  connections(change: 1 | -1): void {
    this.#own.connectionsOpen += change;
  }

  /** All series, or those that have grown since `told`, which then knows. */
  report(told: Told = new WeakMap()): Report {
    const { user, system } = process.cpuUsage();
    const rssBytes = process.memoryUsage.rss();
    const isNews = (series: object, sum: number): boolean => {
      if (told.get(series) === sum) return false;
      told.set(series, sum);
      return true;
    };
    return {
      boot: this.boot,
      http: [...this.#http.values()].filter((series) => isNews(series, requestsOf(series))),
      tcp: [...this.#tcp.values()].filter((series) => isNews(series, growthOf(series))),
      proxy: { ...this.#own, rssBytes, cpuUs: user + system },
    };
  }

  #newHttp(key: string, edge: Edge, protocol: "http" | "grpc", status: number): HttpEntry {
    const isFull = this.#http.size >= seriesMax;
    if (isFull) this.#own.seriesDropped++;
    const kept = isFull ? other(edge) : edge;
    const storedKey = isFull ? `${edgeKey(kept)}|${protocol}|${status}` : key;
    const known = this.#http.get(storedKey);
    if (known !== undefined) return known;
    const buckets = new Array<number>(durationBucketsMs.length + 1).fill(0);
    const entry = { ...kept, protocol, status, buckets, sumMs: 0, requestBytes: 0, responseBytes: 0, retries: 0 };
    this.#http.set(storedKey, entry);
    return entry;
  }
}

function requestsOf({ buckets }: HttpEntry): number {
  return buckets.reduce((sum, n) => sum + n, 0);
}

function growthOf({ opened, closed, sentBytes, receivedBytes }: TcpEntry): number {
  return opened + closed + sentBytes + receivedBytes;
}

function other(edge: Edge): Edge {
  return {
    ...edge,
    sourceWorkload: "other",
    destinationWorkload: "other",
    destinationService: "other",
    destinationVersion: "other",
  };
}

function edgeKey(edge: Edge): string {
  return `${edge.reporter}|${edge.sourceWorkload}|${edge.sourcePrincipal}|${edge.sourceVersion}|${edge.destinationWorkload}|${edge.destinationService}|${edge.destinationVersion}|${edge.security}|${edge.flags}`;
}

function bucketOf(durationMs: number): number {
  let i = 0;
  while (i < durationBucketsMs.length && durationMs > (durationBucketsMs[i] ?? 0)) i++;
  return i;
}
