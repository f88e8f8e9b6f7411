// A container that was told to stop and still runs: between Docker's `kill` and `die` events. Docker says it by the event
// alone (inspect shows a running container), so it is remembered here. Pure.
import { constants } from "node:os";
import type { EngineEvent } from "./event-lines.ts";
import { asRecord, asString } from "./json.ts";
import type { Container } from "./world.ts";

export interface Stop {
  /** Of the start that ends: a later one is not stopping. */
  readonly startedAt: string;
  /** By the watch's clock. */
  readonly atMs: number;
  /** What it has left to end by itself; Docker kills it then. */
  readonly graceMs: number;
}

/** Docker's default where the container says nothing. */
const graceDefaultMs = 10_000;
/** One that runs this much longer took the signal for something else, or `docker stop` gave it more time. */
const marginMs = 5000;
const { SIGTERM, SIGKILL } = constants.signals;
/** Linux' first real-time signal as the C library counts: systemd is stopped by SIGRTMIN+3. */
const sigRtMin = 34;

/** Null: the event does not tell the container to stop. Another signal may be a reload or a log rotation. */
export function stopOf({ action, attributes }: EngineEvent, inspected: unknown, nowMs: number): Stop | null {
  if (action !== "kill") return null;
  const signal = signalNumber(attributes.signal ?? "");
  const { StopSignal: own, StopTimeout: seconds } = asRecord(asRecord(inspected).Config);
  if (signal === null || ![SIGTERM, SIGKILL, signalNumber(asString(own))].includes(signal)) return null;
  return {
    startedAt: asString(asRecord(asRecord(inspected).State).StartedAt),
    atMs: nowMs,
    graceMs: typeof seconds === "number" && seconds >= 0 ? seconds * 1000 : graceDefaultMs,
  };
}

/** Does the stop still say something about the container? */
export function isUnderWay(stop: Stop, { state, startedAt }: Container): boolean {
  return startedAt === stop.startedAt && (state === "running" || state === "paused");
}

/** It should have ended long ago. */
export function isOverdue(stop: Stop, nowMs: number): boolean {
  return nowMs - stop.atMs > stop.graceMs + marginMs;
}

/** "15", "SIGTERM", "TERM", "RTMIN+3"; null for anything else. */
function signalNumber(text: string): number | null {
  if (/^\d{1,2}$/.test(text)) return Number(text);
  const name = text.toUpperCase().replace(/^SIG/, "");
  const realTime = /^RTMIN(?:\+(\d{1,2}))?$/.exec(name);
  if (realTime !== null) return sigRtMin + Number(realTime[1] ?? 0);
  return Object.entries(constants.signals).find(([known]) => known === `SIG${name}`)?.[1] ?? null;
}
