// What `devmesh doctor` has the proxy's image do in throw-away containers, and what it prints: one line of JSON each.

/** A probe that nobody removes ends by itself. */
export const probeLifeMs = 60_000;
/** Where the application of a probe listens. */
export const probePort = 8080;
/** The resolver of a probe's sidecar answers it; nobody else does. */
export const probeName = "doctor.devmesh.internal";

/** What `probe ask <json>` is to try, from where it runs. */
export interface ProbeQuestions {
  readonly dials: readonly { readonly address: string; readonly port: number }[];
  /** For A records. */
  readonly names: readonly string[];
}

export interface ProbeAnswers {
  /** In the order of the questions: what the other side said first, or errno's name, or "silence". */
  readonly dials: readonly string[];
  /** Addresses; or one errno's name. */
  readonly names: readonly (readonly string[])[];
}

/** The first line of `probe sidecar`. */
export interface ProbeReport {
  /** Of the kernel: "6.1.0-18-amd64". */
  readonly kernel: string;
  /** Of the file system that has the container's layers. */
  readonly freeBytes: number;
  /** What kept the rules from being loaded; "" when they are in force. */
  readonly failure: string;
  /** Kernel modules without which they cannot be. */
  readonly missingModules: readonly string[];
  /** Where proxies take mTLS from each other. */
  readonly peerPort: number;
  /** ::1 could be bound. */
  readonly hasIpv6: boolean;
}

/** Who answers a dial: each listener of a probe says its name and, where it was redirected, where the caller wanted to go. */
export function probeGreeting(by: "application" | "outbound" | "inbound" | "peer", original = ""): string {
  return original === "" ? by : `${by} ${original}`;
}
