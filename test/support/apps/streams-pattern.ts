// The bytes that both sides of a transfer know: position modulo a prime, so that a hole or a repetition shows.
import { Readable } from "node:stream";

const chunkBytes = 64 * 1024;

export function pattern(bytes: number): Readable {
  const block = Buffer.from(Array.from({ length: 251 * 256 }, (_, i) => i % 251));
  return Readable.from(
    (function* () {
      for (let at = 0; at < bytes; at += block.length) yield block.subarray(0, Math.min(block.length, bytes - at));
    })(),
    { highWaterMark: chunkBytes, objectMode: false },
  );
}
