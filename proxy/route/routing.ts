// What an exchange needs to know about one request: where it may go, and what to call it in the log and in metrics.
// Outbound (to peers) and inbound (to the application) requests differ only in this.
import type { RetryConfig } from "../contract/config.ts";
import type { Edge } from "../contract/report.ts";
import type { Failure } from "../http/failure.ts";
import type { OutgoingRequest, Upstream } from "../http/stream.ts";

/** One place that can answer: an endpoint of a service, or the application behind this proxy. */
export interface Target {
  /** address:port, for the log. */
  readonly host: string;
  readonly workload: string;
  readonly version: string;
  /** How it is reached. */
  readonly security: "mutual_tls" | "none";
  /** `isUpgrade`: the request may end in a 101, which needs a connection of its own. `port` is the application's. */
  upstream(request: { isUpgrade: boolean; port: number }): Upstream;
  /** A try starts and ends: what load balancing counts. */
  begin(): void;
  end(failure: Failure | null): void;
}

/** A target as it was when it was tried: a reload may have changed it since. */
export type Reached = Pick<Target, "host" | "workload" | "version" | "security">;

export interface Routing {
  readonly routeName: string;
  /** Envoy's cluster name: `outbound|8080|v1|payment.shop.svc.cluster.local`. */
  readonly cluster: string;
  readonly destination: OutgoingRequest["destination"];
  /** 0 is none. */
  readonly timeoutMs: number;
  readonly retry: RetryConfig;
  /** The next try's target, other ones than those tried first; null when there is none. */
  target(tried: readonly Target[]): Target | null;
  /** How long to wait for a first target before `missing` is the answer; 0 is not at all. */
  readonly waitMs: number;
  /** Calls back once when targets may have changed; the result cancels. */
  onTargets(callback: () => void): () => void;
  /** Why there is no target. */
  missing(): Failure;
  /** `last` is the last try's; null when there was none. */
  edge(last: Reached | null, flags: string): Edge;
}
