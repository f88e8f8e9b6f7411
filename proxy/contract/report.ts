// What a proxy tells back. Every counter is cumulative since the process started, so a lost report loses nothing.

/** Upper bounds in milliseconds: Envoy's default histogram buckets. The last bucket is +Inf and has no bound here. */
export const durationBucketsMs = [
  0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000,
  3_600_000,
] as const;

export interface Report {
  readonly boot: string;
  /** Only the series that changed since the report before it on this connection: the others are as they were. */
  readonly isPartial?: boolean | undefined;
  readonly http: readonly HttpSeries[];
  readonly tcp: readonly TcpSeries[];
  readonly proxy: ProxyCounters;
}

/** What a receiver of reports has been told: by series, a sum that grows with each observation. */
export type Told = WeakMap<object, number>;

/** Who talked to whom, as Istio labels it. Unknown values are "unknown". */
export interface Edge {
  readonly reporter: "source" | "destination";
  readonly sourceWorkload: string;
  readonly sourceService: string;
  readonly sourceVersion: string;
  readonly sourcePrincipal: string;
  readonly destinationWorkload: string;
  /** Service name, or "PassthroughCluster", "InboundPassthroughCluster", "BlackHoleCluster". */
  readonly destinationService: string;
  readonly destinationVersion: string;
  readonly destinationPrincipal: string;
  readonly security: "mutual_tls" | "none" | "unknown";
  /** Envoy's flags joined by commas, or "-". */
  readonly flags: string;
}

export interface HttpSeries extends Edge {
  readonly protocol: "http" | "grpc";
  readonly status: number;
  /** One count per bucket (not cumulative over buckets), the +Inf bucket last: length durationBucketsMs.length + 1. */
  readonly buckets: readonly number[];
  /** Sum of durations in milliseconds. */
  readonly sumMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
}

export interface TcpSeries extends Edge {
  readonly opened: number;
  readonly closed: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

export interface ProxyCounters {
  /** Connections to one of the proxy's own ports, closed as loops. */
  readonly loopsClosed: number;
  /** Reports that were dropped because the daemon did not read. */
  readonly reportsDropped: number;
  /** Series that did not fit into the maximum and were counted under "other". */
  readonly seriesDropped: number;
  readonly connectionsOpen: number;
  readonly rssBytes: number;
  readonly cpuUs: number;
}
