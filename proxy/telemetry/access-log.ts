// One line per request on standard output, in Envoy's default text format with the plain reason at the end.
// https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format
import type { Writable } from "node:stream";

export interface AccessLogEntry {
  readonly startMs: number;
  readonly method: string;
  readonly path: string;
  readonly protocol: string;
  readonly status: number;
  readonly flags: string;
  readonly details: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly durationMs: number;
  readonly forwardedFor: string;
  readonly userAgent: string;
  readonly requestId: string;
  readonly authority: string;
  readonly upstreamHost: string;
  readonly upstreamCluster: string;
  readonly downstreamRemote: string;
  readonly routeName: string;
  readonly reason: string;
}

/** Lines are collected and written together. */
const flushEveryMs = 100;
/** Of lines that wait: beyond it, while the reader does not take what was written, they are dropped and counted. */
const bufferedBytesMax = 256 * 1024;
/** What the last lines get to be taken, when the process ends. */
const lastLinesMs = 500;

export class AccessLog {
  readonly #out: Writable;
  #lines: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(out: Writable) {
    this.#out = out;
    // A pipe that nobody reads is written to without blocking: what node would keep for it has no limit of its own.
    out.on("drain", () => this.flush());
    out.on("error", () => {
      // Nobody is there to read it. The proxy serves all the same.
    });
  }

  request(entry: AccessLogEntry): void {
    this.line(formatAccess(entry));
  }

  /** A line of the proxy's own: what it refused, lost or could not do. */
  line(text: string): void {
    if (this.#bytes > bufferedBytesMax) {
      this.#dropped++;
      return;
    }
    this.#lines.push(oneLine(text));
    this.#bytes += text.length + 1;
    this.#timer ??= setTimeout(() => this.flush(), flushEveryMs).unref();
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0 || this.#out.writableNeedDrain) return;
    if (this.#dropped > 0) this.#lines.push(`[devmesh] ${this.#dropped} log lines dropped`);
    this.#dropped = 0;
    const text = `${this.#lines.join("\n")}\n`;
    this.#lines = [];
    this.#bytes = 0;
    this.#out.write(text);
  }

  /** Resolves when everything was taken, or nobody takes it. */
  async close(): Promise<void> {
    this.flush();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, lastLinesMs);
      this.#out.write("", () => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export function formatAccess(entry: AccessLogEntry): string {
  const e = entry;
  const line =
    `[${new Date(e.startMs).toISOString()}] "${e.method} ${quoted(e.path)} ${e.protocol}" ${e.status} ${e.flags} ${e.details} - "-" ` +
    `${e.bytesReceived} ${e.bytesSent} ${Math.round(e.durationMs)} - "${quoted(e.forwardedFor)}" "${quoted(e.userAgent)}" ` +
    `"${quoted(e.requestId)}" "${quoted(e.authority)}" "${e.upstreamHost}" ${e.upstreamCluster} - - ${e.downstreamRemote} - ${e.routeName}`;
  return e.reason === "" ? line : `${line} reason="${quoted(e.reason)}"`;
}

/** Reasons quote what peers sent: they must not begin a line of their own. */
function oneLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
  return text.replace(/[\x00-\x1f\x7f]/g, "?");
}

/** Peers choose these texts: a quote or a control byte must not forge a field or a line. */
function quoted(text: string): string {
  return /[^\x20-\x7e]|["\\]/.test(text)
    ? text.replace(/[^\x20-\x7e]|["\\]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : text;
}
