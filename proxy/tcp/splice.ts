// Joins two byte streams until both directions have ended. stream.pipeline is not used, because on an error it destroys
// with a FIN: here an end stays an end, per direction, and a cut stays a cut.
import type { Duplex } from "node:stream";
import { resetStream } from "./reset.ts";

/** Istio's default for TCP. */
export const idleTimeoutMsDefault = 3_600_000;

export type Direction = "a-to-b" | "b-to-a";

/** Why a splice ended: both sides said goodbye, one was cut, nothing moved for too long, or the proxy ended it. */
export type CloseReason = "ended" | "reset-by-a" | "reset-by-b" | "idle" | "closed";

export interface SpliceOptions {
  /** Called with every chunk that was read, before it is written. */
  readonly onBytes?: (direction: Direction, bytes: number) => void;
  /** Milliseconds without a byte in either direction until both sides are reset. Default 1 h. */
  readonly idleTimeoutMs?: number;
  /** Exactly once, when both streams are closed. */
  readonly onClose?: (reason: CloseReason) => void;
}

/** Cuts both sides. */
export interface Splice {
  close(): void;
}

/**
 * Passes on data with back-pressure, FIN per direction (half-open connections stay so) and resets. Takes both streams
 * over, error events included. Either may still be connecting, may have been paused, and may have ended already.
 */
export function splice(a: Duplex, b: Duplex, options: SpliceOptions = {}): Splice {
  const { onBytes, idleTimeoutMs = idleTimeoutMsDefault, onClose } = options;
  let reason: CloseReason | null = null;
  let open = 2;

  const cut = (why: CloseReason): void => {
    reason ??= why;
    resetStream(a);
    resetStream(b);
  };
  const idle = setTimeout(() => cut("idle"), idleTimeoutMs);
  const closed = (stream: Duplex, why: CloseReason): void => {
    // A stream that closes before both of its directions have ended was cut.
    if (!(stream.readableEnded && stream.writableFinished)) cut(why);
    open -= 1;
    if (open > 0) return;
    clearTimeout(idle);
    onClose?.(reason ?? "ended");
  };

  // An end of one side must not end the other direction by itself.
  a.allowHalfOpen = true;
  b.allowHalfOpen = true;
  follow(
    a,
    () => closed(a, "reset-by-a"),
    () => cut("reset-by-a"),
  );
  follow(
    b,
    () => closed(b, "reset-by-b"),
    () => cut("reset-by-b"),
  );
  const count = (direction: Direction) => (bytes: number) => {
    idle.refresh();
    onBytes?.(direction, bytes);
  };
  pump(a, b, count("a-to-b"));
  pump(b, a, count("b-to-a"));
  return { close: () => cut("closed") };
}

function follow(stream: Duplex, onClose: () => void, onError: () => void): void {
  stream.on("error", onError);
  if (stream.closed) queueMicrotask(onClose);
  else stream.once("close", onClose);
}

function pump(from: Duplex, to: Duplex, count: (bytes: number) => void): void {
  if (from.readableEnded) {
    to.end();
    return;
  }
  from.on("data", (chunk: Buffer) => {
    count(chunk.length);
    if (!to.write(chunk)) from.pause();
  });
  from.once("end", () => to.end());
  to.on("drain", () => from.resume());
  // A stream whose buffer was filled before the splice (sniffed bytes) tells by its drain when to go on.
  if (to.writableNeedDrain) from.pause();
  else from.resume();
}
