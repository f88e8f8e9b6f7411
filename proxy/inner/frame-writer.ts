// Assembles what one turn of the event loop sends, in one growing buffer that is used again once it was written.
// Copying DATA into it costs nothing extra: TLSWrap copies a vectored write into one buffer too, before it encrypts.
import { endFlag, FrameType, frameHeaderBytes } from "./frames.ts";

const startBytes = 8 * 1024;
/** Larger buffers are left to the garbage collector, so that a burst is not kept for ever. */
const keptBytesMax = 128 * 1024;
const spareMax = 2;

export class FrameWriter {
  /** Bytes assembled and not yet taken. */
  used = 0;
  #buffer: Buffer = Buffer.allocUnsafeSlow(startBytes);
  readonly #spare: Buffer[] = [];
  /** The answer of `data`, used again. */
  readonly #target = { buffer: this.#buffer, at: 0 };
  /** Where the newest frame begins and whose it is, so that END can be set on it instead of a frame of its own. */
  #lastAt = -1;
  #lastStream = 0;

  /** A frame whose payload is latin1 text: every character must be below 256. */
  text(type: number, stream: number, text: string): void {
    const at = this.#begin(type, stream, text.length);
    this.#buffer.write(text, at, "latin1");
  }

  /** A frame whose payload is one u32. */
  number(type: number, stream: number, value: number): void {
    const at = this.#begin(type, stream, 4);
    this.#buffer.writeUInt32BE(value, at);
  }

  /** A frame whose payload is the bytes. */
  bytes(type: number, stream: number, payload: Buffer): void {
    const at = this.#begin(type, stream, payload.length);
    payload.copy(this.#buffer, at);
  }

  /** Room for the payload of a DATA frame, to be filled by the caller before the next call. */
  data(stream: number, length: number): { readonly buffer: Buffer; readonly at: number } {
    const at = this.#begin(FrameType.data, stream, length);
    this.#target.buffer = this.#buffer;
    this.#target.at = at;
    return this.#target;
  }

  /** Ends the stream's direction: a flag on its newest frame if that is still here and the last one, else an END frame. */
  end(stream: number): void {
    if (this.#lastAt >= 0 && this.#lastStream === stream) {
      const at = this.#lastAt + 3;
      const type = this.#buffer[at] ?? 0;
      if (type === FrameType.request || type === FrameType.response || type === FrameType.data) {
        this.#buffer[at] = type | endFlag;
        return;
      }
    }
    this.#begin(FrameType.end, stream, 0);
  }

  /** What was assembled. It stays valid until it is given back by `reuse`. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.used);
    this.#buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(startBytes);
    this.used = 0;
    this.#lastAt = -1;
    return taken;
  }

  reuse(taken: Buffer): void {
    if (this.#spare.length < spareMax && taken.buffer.byteLength <= keptBytesMax) {
      this.#spare.push(Buffer.from(taken.buffer, 0, taken.buffer.byteLength));
    }
  }

  #begin(type: number, stream: number, length: number): number {
    const start = this.used;
    const end = start + frameHeaderBytes + length;
    if (end > this.#buffer.length) this.#grow(end);
    const buffer = this.#buffer;
    buffer[start] = length >>> 16;
    buffer[start + 1] = length >>> 8;
    buffer[start + 2] = length;
    buffer[start + 3] = type;
    buffer.writeUInt32BE(stream, start + 4);
    this.used = end;
    this.#lastAt = start;
    this.#lastStream = stream;
    return start + frameHeaderBytes;
  }

  #grow(bytes: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(bytes, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.used);
    this.#buffer = larger;
  }
}
