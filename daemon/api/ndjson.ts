// Newline-delimited JSON: one reader for byte streams (control channel, API, start protocol) with a bound on the line.
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";

const newline = 10;

/** Cuts bytes into lines. Throws when a line grows beyond `lineBytesMax`. Empty lines are left out. */
export class LineCutter {
  readonly #lineBytesMax: number;
  #pieces: Buffer[] = [];
  #bytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that `chunk` completes. */
  push(chunk: Buffer): string[] {
    const lines: string[] = [];
    let from = 0;
    for (;;) {
      const at = chunk.indexOf(newline, from);
      const piece = chunk.subarray(from, at === -1 ? undefined : at);
      this.#bytes += piece.length;
      if (this.#bytes > this.#lineBytesMax) throw new Error(`a line is longer than ${this.#lineBytesMax} bytes`);
      if (piece.length > 0) this.#pieces.push(piece);
      if (at === -1) return lines;
      if (this.#bytes > 0) lines.push(Buffer.concat(this.#pieces).toString("utf8"));
      this.#pieces = [];
      this.#bytes = 0;
      from = at + 1;
    }
  }
}

/** Every JSON value of a stream. Ends with the stream; throws on a broken line. */
export async function* readNdjson(stream: Readable, lineBytesMax: number): AsyncGenerator<unknown> {
  const cutter = new LineCutter(lineBytesMax);
  for await (const chunk of stream) {
    for (const line of cutter.push(chunk as Buffer)) yield JSON.parse(line);
  }
}

/** Writes one value and waits while the reader is slow. False when the stream is gone. */
export async function writeNdjson(stream: Writable, value: unknown): Promise<boolean> {
  if (stream.destroyed || stream.writableEnded) return false;
  if (stream.write(`${JSON.stringify(value)}\n`)) return true;
  const gone = new AbortController();
  const abort = (): void => gone.abort();
  stream.once("close", abort);
  try {
    await once(stream, "drain", { signal: gone.signal });
    return true;
  } catch {
    return false;
  } finally {
    stream.off("close", abort);
  }
}
