// One line per request on standard output, in Envoy's default text format with the plain reason at the end.
// https://istio.io/latest/docs/tasks/observability/logs/access-log/#default-access-log-format

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

/** Lines are collected and written together; what a reader that has stopped does not take is dropped and counted. */
const flushEveryMs = 100;
const bufferedBytesMax = 256 * 1024;

export class AccessLog {
  readonly #out: NodeJS.WritableStream;
  #lines: string[] = [];
  #bytes = 0;
  #dropped = 0;
  #timer: NodeJS.Timeout | null = null;

  constructor(out: NodeJS.WritableStream) {
    this.#out = out;
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
    this.#lines.push(text);
    this.#bytes += text.length + 1;
    this.#timer ??= setTimeout(() => this.flush(), flushEveryMs).unref();
  }

  flush(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    if (this.#lines.length === 0) return;
    if (this.#dropped > 0) this.#lines.push(`[devmesh] ${this.#dropped} log lines dropped`);
    this.#dropped = 0;
    const text = `${this.#lines.join("\n")}\n`;
    this.#lines = [];
    this.#bytes = 0;
    this.#out.write(text);
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

/** Peers choose these texts: a quote or a control byte must not forge a field or a line. */
function quoted(text: string): string {
  return /[^\x20-\x7e]|["\\]/.test(text)
    ? text.replace(/[^\x20-\x7e]|["\\]/g, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, "0")}`)
    : text;
}
