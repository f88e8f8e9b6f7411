// Cuts a byte stream into frames. DATA is handed on slice by slice as it arrives, uncopied; other frames arrive whole.
import {
  dataBytesMax,
  endFlag,
  FrameType,
  frameHeaderBytes,
  goawayBytesMax,
  InnerViolation,
  resetBytesMax,
} from "./frames.ts";

export interface FrameSink {
  /** A DATA frame of `length` bytes begins. */
  onDataStart(stream: number, length: number): void;
  /** The next bytes of its payload. */
  onDataSlice(slice: Buffer): void;
  onDataEnd(isEnd: boolean): void;
  /** Any other frame. The payload may be a view on the chunk: it is valid during the call. */
  onFrame(type: number, stream: number, isEnd: boolean, payload: Buffer): void;
}

const nothing = Buffer.alloc(0);

export class FrameReader {
  readonly #sink: FrameSink;
  readonly #headBytesMax: number;
  readonly #header = Buffer.alloc(frameHeaderBytes);
  #headerBytes = 0;
  #type = -1;
  #stream = 0;
  #isEnd = false;
  /** Bytes of the current frame's payload that have not arrived. */
  #missing = 0;
  #payload: Buffer = nothing;
  #isStopped = false;

  constructor(sink: FrameSink, headBytesMax: number) {
    this.#sink = sink;
    this.#headBytesMax = headBytesMax;
  }

  /** Nothing is handed on after this, also from inside a call of the sink. */
  stop(): void {
    this.#isStopped = true;
    this.#payload = nothing;
  }

  /** Throws InnerViolation, its own or the sink's; the reader is of no use afterwards. */
  push(chunk: Buffer): void {
    let at = 0;
    while (!this.#isStopped) {
      if (this.#type < 0) {
        at = this.#readHeader(chunk, at);
        if (this.#type < 0) return;
      } else if (at === chunk.length && this.#missing > 0) return;
      at = this.#type === FrameType.data ? this.#readData(chunk, at) : this.#readPayload(chunk, at);
    }
  }

  #readHeader(chunk: Buffer, start: number): number {
    let at = start;
    let header = chunk;
    let from = at;
    if (this.#headerBytes > 0 || chunk.length - at < frameHeaderBytes) {
      const count = Math.min(frameHeaderBytes - this.#headerBytes, chunk.length - at);
      chunk.copy(this.#header, this.#headerBytes, at, at + count);
      this.#headerBytes += count;
      at += count;
      if (this.#headerBytes < frameHeaderBytes) return at;
      header = this.#header;
      from = 0;
    } else {
      at += frameHeaderBytes;
    }
    this.#headerBytes = 0;
    const length = header.readUIntBE(from, 3);
    const typeAndEnd = header[from + 3] ?? 0;
    this.#stream = header.readUInt32BE(from + 4);
    this.#begin(typeAndEnd & ~endFlag, (typeAndEnd & endFlag) !== 0, length);
    return at;
  }

  #begin(type: number, isEnd: boolean, length: number): void {
    checkSize(type, length, this.#headBytesMax);
    if (isEnd && !canEnd(type)) {
      throw new InnerViolation("frame-malformed", `a frame of type ${type} cannot end a stream`);
    }
    if (type === FrameType.data) this.#sink.onDataStart(this.#stream, length);
    this.#type = type;
    this.#isEnd = isEnd;
    this.#missing = length;
    this.#payload = nothing;
  }

  #readData(chunk: Buffer, at: number): number {
    const count = Math.min(this.#missing, chunk.length - at);
    this.#missing -= count;
    if (this.#missing === 0) this.#type = -1;
    if (count > 0) this.#sink.onDataSlice(at === 0 && count === chunk.length ? chunk : chunk.subarray(at, at + count));
    if (this.#missing === 0 && !this.#isStopped) this.#sink.onDataEnd(this.#isEnd);
    return at + count;
  }

  #readPayload(chunk: Buffer, at: number): number {
    const count = Math.min(this.#missing, chunk.length - at);
    let payload = this.#payload;
    if (payload === nothing && count === this.#missing) {
      payload = chunk.subarray(at, at + count);
    } else {
      if (payload === nothing) payload = this.#payload = Buffer.allocUnsafe(this.#missing);
      chunk.copy(payload, payload.length - this.#missing, at, at + count);
    }
    this.#missing -= count;
    if (this.#missing === 0) {
      const type = this.#type;
      this.#type = -1;
      this.#payload = nothing;
      this.#sink.onFrame(type, this.#stream, this.#isEnd, payload);
    }
    return at + count;
  }
}

function canEnd(type: number): boolean {
  return type === FrameType.request || type === FrameType.response || type === FrameType.data;
}

/** The length is judged before a byte of the payload is kept. */
function checkSize(type: number, length: number, headBytesMax: number): void {
  switch (type) {
    case FrameType.data:
      checkMax(type, length, dataBytesMax);
      return;
    case FrameType.request:
    case FrameType.response:
    case FrameType.informational:
    case FrameType.end:
      checkMax(type, length, headBytesMax);
      return;
    case FrameType.reset:
      checkMax(type, length, resetBytesMax);
      return;
    case FrameType.goaway:
      checkMax(type, length, goawayBytesMax);
      return;
    case FrameType.hello:
    case FrameType.window:
    case FrameType.ping:
    case FrameType.pong:
      if (length !== 4)
        throw new InnerViolation("frame-malformed", `a frame of type ${type} has ${length} bytes, not 4`);
      return;
    default:
      throw new InnerViolation("unknown-frame", `there is no frame of type ${type}`);
  }
}

function checkMax(type: number, length: number, max: number): void {
  if (length > max)
    throw new InnerViolation("frame-too-large", `a frame of type ${type} has ${length} of ${max} bytes`);
}
