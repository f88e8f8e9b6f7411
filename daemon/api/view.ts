// What the API shows: the one picture that `status`, the screen and scripts read. JSON, stable, additive.
import type { Diagnostic } from "../spec/diagnostic.ts";

/** Of a workload or a gateway whose proxy another version of devmesh has started. */
export const outdatedReason =
  "its proxy is of another version; it is replaced at its next start, or now by: devmesh up --renew";

export interface StatusView {
  readonly mesh: string;
  readonly project: string;
  readonly version: string;
  readonly pid: number;
  /** ISO 8601. */
  readonly startedAt: string;
  /** Worst of all parts: `ok`, `degraded` (something is missing, traffic flows), `error`. */
  readonly health: "ok" | "degraded" | "error";
  readonly config: ConfigView;
  readonly services: readonly ServiceView[];
  readonly gateways: readonly GatewayView[];
  /** Containers of the project that are not in the mesh, and why. */
  readonly unmeshed: readonly { readonly container: string; readonly service: string; readonly reason: string }[];
  /** What is wrong around the daemon, with what to do about it: traffic flows, but it should be mended. */
  readonly troubles: readonly string[];
  readonly edges: readonly EdgeView[];
  /** What went past the proxies. Absent: a daemon of before there was this. */
  readonly bypass?: BypassView | undefined;
  readonly totals: {
    readonly rps: number;
    readonly errorRatio: number;
    readonly p50Ms: number;
    readonly p99Ms: number;
  };
  /** The share of requests of the last window that went by mutual TLS, 0 to 1; null without traffic. */
  readonly mtlsRatio: number | null;
  /** Newest last; at most 100. */
  readonly events: readonly { readonly at: string; readonly text: string }[];
}

export interface ConfigView {
  /** Relative to the project's folder where it lies in there. */
  readonly file: string | null;
  /** Grows with every accepted change. */
  readonly revision: number;
  readonly appliedAt: string;
  /** True when what the file says now is what the proxies run. */
  readonly isInSync: boolean;
  /** Errors that keep the file from being applied, and warnings. */
  readonly diagnostics: readonly Diagnostic[];
}

export interface ServiceView {
  readonly name: string;
  readonly mtls: "strict" | "permissive" | "disable";
  readonly ports: readonly { readonly number: number; readonly protocol: string }[];
  readonly address: string;
  readonly split: readonly { readonly version: string; readonly weight: number; readonly seen: number }[];
  /** Published container ports that anyone on the host can reach as `outside`. */
  readonly openPorts: readonly number[];
  readonly workloads: readonly WorkloadView[];
  readonly rps: number;
  readonly errorRatio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of the last five minutes. */
  readonly lastError: string | null;
  /** ISO 8601. */
  readonly lastErrorAt: string | null;
}

export interface WorkloadView {
  readonly container: string;
  readonly id: string;
  readonly version: string | null;
  readonly state: string;
  readonly sidecar: "none" | "starting" | "ready" | "failed";
  /** What is wrong, or "". */
  readonly reason: string;
  readonly configHash: string | null;
  readonly isSynced: boolean;
  readonly certificateExpiresAt: string | null;
  /** Of what reached this container in the last 10 s; what reached none counts for the service alone. */
  readonly rps: number;
  readonly errorRatio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface GatewayView {
  readonly listen: string;
  readonly url: string;
  readonly to: string;
  readonly state: "starting" | "ready" | "failed";
  readonly reason: string;
}

export interface EdgeView {
  readonly from: string;
  readonly to: string;
  readonly version: string | null;
  readonly protocol: "http" | "tcp";
  /** Over the last 10 s. */
  readonly rps: number;
  readonly errorRatio: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Null: nothing was seen, or nobody could tell. */
  readonly mtlsRatio: number | null;
  /** Since the daemon started. */
  readonly requests: number;
  readonly errors: number;
}

/** Since the daemon started, and before that as far as the running containers' own counters reach back. */
export interface BypassView {
  /** Bytes of IP packets, headers included, that passed; what was cut and DNS to a server outside are not among them. */
  readonly bytes: number;
  readonly connections: number;
  /** By service, cause and port, the most bytes first. */
  readonly edges: readonly BypassEdgeView[];
  /** True when every sidecar was read for this answer: then what is listed is all that the mesh's containers did. */
  readonly isComplete: boolean;
  /** Containers in the mesh that could not be counted for, and why. */
  readonly unread: readonly { readonly container: string; readonly reason: string }[];
  /** Containers of the project that run without a sidecar: what they exchange among themselves nobody sees. */
  readonly uncovered: readonly UncoveredView[];
}

export interface BypassEdgeView {
  /** A service, or `outside`, `host` (an address of the machine), `multicast`, `unknown`. */
  readonly from: string;
  readonly to: string;
  /**
   * Passed: `excluded` (port or CIDR), `udp`, `other` (neither TCP nor UDP), `early` (a job's, older than its sidecar), `forwarded` (routed for others), `overflow` (more peers
   * than are told apart). Cut: `older` (than the rules), `ipv6` (no listener), `refused` (UDP under restricted egress).
   */
  readonly cause: string;
  /** `resolver`: UDP to port 53 outside, where Docker's resolver asks on the container's behalf. */
  readonly verdict: "passed" | "cut" | "resolver";
  readonly protocol: string;
  /** Of the side that was called; 0: none. */
  readonly port: number;
  readonly bytes: number;
  readonly connections: number;
}

export interface UncoveredView {
  readonly container: string;
  readonly service: string;
  readonly reason: string;
  /** Somebody wrote that it stays out: mesh: false, or a label. */
  readonly isChosen: boolean;
}
