// The daemon's own log as lines for people: what lies in its file, and what comes.
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { LogLine, LogQuery } from "./api/messages.ts";

/** Of the file's end; a file holds ten times as much. */
const readBytesMax = 1024 * 1024;
const textMax = 4_000;
/** Lines that nobody has taken yet; the oldest go, since a log must not hold up the one who writes it. */
const waitingMax = 1_000;

const levels: Readonly<Record<number, string>> = {
  10: "trace",
  20: "debug",
  30: "info",
  40: "warn",
  50: "error",
  60: "fatal",
};

/** Where new lines of the log can be heard. */
export interface LogTap {
  push(line: string): void;
  /** Returns how to stop listening. */
  onLine(listener: (line: string) => void): () => void;
}

export function createLogTap(): LogTap {
  const listeners = new Set<(line: string) => void>();
  return {
    push(line) {
      for (const listener of listeners) listener(line);
    },
    onLine(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Of this daemon and of those before it, from the last MB of their file; followed, it ends on `signal`. */
export async function* daemonLogLines(
  place: { readonly file: string; readonly tap: LogTap },
  { isFollowed, tail, since }: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const waiting: string[] = [];
  let wake = Promise.withResolvers<void>();
  // In one turn with the reading of the file: nothing is missed and nothing comes twice.
  const stop = place.tap.onLine((line) => {
    waiting.push(line);
    if (waiting.length > waitingMax) waiting.shift();
    wake.resolve();
  });
  const onAbort = (): void => wake.resolve();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const sinceMs = since === null ? Number.NEGATIVE_INFINITY : millisecondsOf(since);
    const kept = readEnd(place.file)
      .flatMap(readLine)
      .filter(({ at }) => !(Date.parse(at) < sinceMs));
    yield* tail === null ? kept : kept.slice(Math.max(0, kept.length - tail));
    while (isFollowed && !signal.aborted) {
      yield* waiting.splice(0).flatMap(readLine);
      if (waiting.length === 0 && !signal.aborted) await wake.promise;
      wake = Promise.withResolvers();
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    stop();
  }
}

/** RFC 3339, or seconds since 1970. */
function millisecondsOf(since: string): number {
  return /^\d+(\.\d+)?$/.test(since) ? Number(since) * 1000 : Date.parse(since);
}

/** Whole lines of the file's end; none when it cannot be read. */
function readEnd(file: string): string[] {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch {
    return [];
  }
  try {
    const { size } = fstatSync(fd);
    const from = Math.max(0, size - readBytesMax);
    const bytes = Buffer.alloc(size - from);
    readSync(fd, bytes, 0, bytes.length, from);
    const lines = bytes.toString().split("\n");
    return from === 0 ? lines : lines.slice(1);
  } catch {
    return [];
  } finally {
    closeSync(fd);
  }
}

/** None for what is no line of ours: a full disk cuts lines. */
function readLine(line: string): LogLine[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return [];
  }
  if (value === null || typeof value !== "object") return [];
  const { level, time, pid: _pid, msg = "", ...rest } = value as Record<string, unknown>;
  const details = Object.entries(rest).map(([key, one]) => `${key}=${detail(one)}`);
  const text = [levels[Number(level)] ?? "info", String(msg), ...details].join(" ").slice(0, textMax);
  const at = typeof time === "string" ? time : "";
  return [{ at, service: "", container: "daemon", source: "daemon", stream: "stderr", text }];
}

/** Of an error what it says: its stack is in the file. */
function detail(value: unknown): string {
  if (typeof value === "string") return /^\S+$/.test(value) ? value : JSON.stringify(value);
  if (value !== null && typeof value === "object" && "message" in value) return JSON.stringify(value.message);
  return JSON.stringify(value) ?? "";
}
