// What the API's streams carry, line by line; `view.ts` has the status.

/** One line of a service's output. */
export interface LogLine {
  /** RFC 3339, or "" when the source gives none. */
  readonly at: string;
  readonly service: string;
  readonly container: string;
  readonly source: "app" | "sidecar" | "gateway" | "daemon";
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface LogQuery {
  /** Null: all. */
  readonly service: string | null;
  readonly isFollowed: boolean;
  /** Last lines of each container; null: all that are kept. */
  readonly tail: number | null;
  /** RFC 3339 or Unix seconds; null: from the start. */
  readonly since: string | null;
}

/** A host port that a container of the project publishes, and somebody else has. */
export interface BlockedPort {
  readonly service: string;
  /** "127.0.0.1:8080" */
  readonly address: string;
  /** " by the container other_web_1", or "" where it cannot be told. */
  readonly holder: string;
}

export interface ErrorBody {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}

/** Progress of `down`. The daemon exits after `done`. */
export type DownLine =
  | { readonly t: "step"; readonly text: string; readonly ms: number }
  | { readonly t: "done" }
  | ({ readonly t: "problem" } & ErrorBody);

export interface Ping {
  readonly pid: number;
  readonly version: string;
  readonly mesh: string;
  /** Only `open` answers more than pings. Absent: a daemon of before there were phases, which is open. */
  readonly phase?: DaemonPhase | undefined;
}

/** `ending`: it takes its mesh down and goes. */
export type DaemonPhase = "starting" | "open" | "ending";
