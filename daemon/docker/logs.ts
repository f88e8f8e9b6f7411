// Lines of containers' logs, of several at once, in the order of their arrival.
import { inspectContainer } from "./containers.ts";
import { createDemux, type StreamName } from "./demux.ts";
import type { Engine } from "./engine.ts";
import { asRecord } from "./json.ts";
import { LineMerge } from "./line-merge.ts";

/** A longer line comes in pieces. */
const lineBytesMax = 64 * 1024;
/** Of a one-shot that failed. */
const tailLines = 10;

export interface LogLine {
  readonly container: string;
  readonly stream: StreamName;
  /** RFC 3339 with nanoseconds, by the engine's clock. */
  readonly at: string;
  /** Without its line end. */
  readonly line: string;
}

export interface LogOptions {
  /** Stay and deliver new lines until `signal`; else end with what is there. */
  readonly follow?: boolean;
  /** The last lines of each container; all when absent. */
  readonly tail?: number;
  /** Seconds since 1970, or RFC 3339. */
  readonly since?: string;
  readonly signal?: AbortSignal;
}

/** Ends when every container's log does, or on `signal`. A container that is gone has no lines. Throws EngineError. */
export async function* followLogs(
  engine: Engine,
  containerIds: readonly string[],
  options: LogOptions = {},
): AsyncGenerator<LogLine> {
  const merge = new LineMerge<LogLine>(options.signal);
  for (const id of containerIds) merge.add((signal) => readContainerLog(engine, id, { ...options, signal }));
  merge.complete();
  yield* merge.lines();
}

/** The last lines as one text, for an error. "" when they cannot be read. */
export async function readLogTail(engine: Engine, id: string): Promise<string> {
  const lines: string[] = [];
  try {
    for await (const { line } of followLogs(engine, [id], { tail: tailLines })) lines.push(line);
  } catch {
    return ""; // The error that this was to explain is the one that counts.
  }
  return lines.join("\n");
}

/** One container's, to its end or on `signal`; followed, it ends when the container does. One that is gone has no lines. */
export async function* readContainerLog(engine: Engine, id: string, options: LogOptions): AsyncGenerator<LogLine> {
  const inspected = await inspectContainer(engine, id);
  if (inspected === null) return;
  const { follow = false, tail, since, signal } = options;
  const from = since === undefined ? undefined : (unixTime(since) ?? undefined);
  const query = { stdout: true, stderr: true, timestamps: true, follow, since: from, tail: tail ?? "all" };
  const path = `/containers/${encodeURIComponent(id)}/logs`;
  const stream = await engine.stream({ method: "GET", path, query, ...(signal && { signal }) });
  const onAbort = () => stream.destroy();
  signal?.addEventListener("abort", onAbort, { once: true });
  const lines: LogLine[] = [];
  const splitters = { stdout: createLineSplitter(), stderr: createLineSplitter() };
  const onPiece = (name: StreamName, piece: Buffer) => {
    for (const text of splitters[name](piece)) lines.push({ container: id, stream: name, ...splitTimestamp(text) });
  };
  // With a terminal the log is one raw stream.
  const isTty = asRecord(asRecord(inspected).Config).Tty === true;
  const demux = isTty ? (chunk: Buffer) => onPiece("stdout", chunk) : createDemux(onPiece);
  try {
    for await (const chunk of stream) {
      demux(chunk as Buffer);
      yield* lines.splice(0);
    }
    for (const name of ["stdout", "stderr"] as const) onPiece(name, Buffer.from("\n"));
    yield* lines.splice(0).filter(({ at }) => at !== "");
  } finally {
    signal?.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

/** "1764051898.862401961", the one form that Docker's API takes, of that or of RFC 3339. Null for what is neither. */
export function unixTime(text: string): string | null {
  if (/^\d+(\.\d{1,9})?$/.test(text)) return text;
  const [, fraction = ""] = /T[\d:]+\.(\d{1,9})/.exec(text) ?? [];
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.replace(/(T[\d:]+)\.\d+/, "$1")) : Number.NaN;
  return Number.isNaN(ms) ? null : `${Math.floor(ms / 1000)}.${fraction.padEnd(9, "0")}`;
}

/** Whole lines out of pieces; a line that is too long is cut into several. */
export function createLineSplitter(): (piece: Buffer) => string[] {
  let rest: Buffer = Buffer.alloc(0);
  return (piece) => {
    const lines: string[] = [];
    let data = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    for (;;) {
      const end = data.indexOf(10);
      if (end < 0 && data.length <= lineBytesMax) break;
      const cut = end < 0 ? lineBytesMax : end;
      lines.push(data.subarray(0, cut).toString().replace(/\r$/, ""));
      data = data.subarray(end < 0 ? cut : cut + 1);
    }
    rest = data;
    return lines;
  };
}

/** "2026-11-23T06:24:58.862401961Z text" */
export function splitTimestamp(text: string): { at: string; line: string } {
  const match = /^(\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)) ?/.exec(text);
  return match === null ? { at: "", line: text } : { at: match[1] ?? "", line: text.slice(match[0].length) };
}
