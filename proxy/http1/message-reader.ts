// The reading half of a connection: cuts what a socket brings into heads, body slices and raw bytes, one message at a time,
// and keeps (bounded) what comes while its owner is paused or busy with an earlier message.
import type { Socket } from "node:net";
import type { Fields } from "../http/fields.ts";
import { CR } from "./bytes.ts";
import { ChunkedDecoder } from "./chunked-decoder.ts";
import { HeadBuffer } from "./head-buffer.ts";
import type { Http1Limits } from "./limits.ts";
import { type Rejection, rejections } from "./rejection.ts";

export interface MessageHandler {
  /** The first line of a head that is not yet complete, with its CRLF. */
  onStartLine(bytes: Buffer, end: number): Rejection | null;
  /** A head without its empty line. The handler says what follows by one of the `expect` methods, else a further head. */
  onHead(bytes: Buffer, start: number, end: number): void;
  onBody(slice: Buffer): void;
  onBodyEnd(trailers: Fields | null): void;
  /** The reader has stopped. */
  onRejected(rejection: Rejection): void;
}

type Stage = "head" | "length" | "chunked" | "raw" | "wait" | "stopped";

const headEnd = Buffer.from("\r\n\r\n");

export class MessageReader {
  #stage: Stage = "head";
  #bytes: Buffer | null = null;
  #offset = 0;
  #remaining = 0;
  #isRunning = false;
  #isPaused = false;
  #isSocketPaused = false;
  #isStartLineChecked = false;
  #decoder: ChunkedDecoder | null = null;
  readonly #head: HeadBuffer;
  readonly #socket: Socket;
  readonly #handler: MessageHandler;
  readonly #limits: Http1Limits;

  constructor(socket: Socket, handler: MessageHandler, options: { limits: Http1Limits; leadingLinesMax: number }) {
    this.#socket = socket;
    this.#handler = handler;
    this.#limits = options.limits;
    this.#head = new HeadBuffer({
      bytesMax: options.limits.headBytesMax,
      leadingLinesMax: options.leadingLinesMax,
      tooLarge: rejections.headTooLarge,
    });
  }

  get stage(): Stage {
    return this.#stage;
  }

  /** Some, but not all, of a head is here. */
  get isMidHead(): boolean {
    return this.#stage === "head" && this.#head.isBegun;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  /** Bytes are kept that belong to nothing yet. */
  get hasRest(): boolean {
    return this.#bytes !== null;
  }

  expectHead(): void {
    this.#stage = "head";
    this.#isStartLineChecked = false;
    this.#runLater();
  }

  /** 0: the message is complete, `onBodyEnd` is not called. */
  expectLength(length: number): void {
    this.#remaining = length;
    this.#stage = length === 0 ? "wait" : "length";
  }

  expectChunks(): void {
    if (this.#decoder === null) this.#decoder = new ChunkedDecoder(this.#limits);
    else this.#decoder.reset();
    this.#stage = "chunked";
  }

  /** Every byte until the end of the connection. */
  expectRaw(): void {
    this.#stage = "raw";
    this.#runLater();
  }

  /** Nothing more is read into the handler; bytes that still come are thrown away. */
  stop(): void {
    this.#stage = "stopped";
    this.#bytes = null;
    this.#isPaused = false;
    this.#syncSocket();
  }

  pause(): void {
    if (this.#stage === "stopped") return;
    this.#isPaused = true;
    this.#syncSocket();
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#runLater();
  }

  push(chunk: Buffer): void {
    if (this.#stage === "stopped" || chunk.length === 0) return;
    if (this.#bytes === null) {
      this.#bytes = chunk;
      this.#offset = 0;
    } else {
      // Rare: the socket was paused, but had this chunk under way.
      this.#bytes = Buffer.concat([this.#bytes.subarray(this.#offset), chunk]);
      this.#offset = 0;
      if (this.#bytes.length > this.#limits.heldBytesMax) {
        this.#reject(rejections.heldTooMuch);
        return;
      }
    }
    this.#run();
  }

  /** Not at once: whoever resumes is in the middle of something, and must not be called back from it. */
  #runLater(): void {
    if (this.#bytes === null || this.#isRunning) this.#syncSocket();
    else process.nextTick(runReader, this);
  }

  /** For the next tick only. */
  runNow(): void {
    this.#run();
  }

  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#bytes !== null && !this.#isPaused && this.#stage !== "wait" && this.#stage !== "stopped")
      this.#step(this.#bytes);
    this.#isRunning = false;
    this.#syncSocket();
  }

  #step(bytes: Buffer): void {
    if (this.#stage === "head") this.#stepHead(bytes);
    else if (this.#stage === "length") this.#stepLength(bytes);
    else if (this.#stage === "chunked") this.#stepChunked(bytes);
    else {
      const slice = this.#offset === 0 ? bytes : bytes.subarray(this.#offset);
      this.#advance(bytes, bytes.length);
      this.#handler.onBody(slice);
    }
  }

  #stepHead(bytes: Buffer): void {
    const start = this.#offset;
    if (!this.#head.isBegun && bytes[start] !== CR) {
      const end = bytes.indexOf(headEnd, start);
      if (end !== -1 && end + 2 - start <= this.#limits.headBytesMax) {
        this.#advance(bytes, end + 4);
        this.#handler.onHead(bytes, start, end + 2);
        return;
      }
    }
    this.#stepSplitHead(bytes);
  }

  #stepSplitHead(bytes: Buffer): void {
    const head = this.#head;
    this.#advance(bytes, head.take(bytes, this.#offset));
    let rejection = head.rejection;
    if (rejection === null && !this.#isStartLineChecked && head.firstLineLength > 0) {
      this.#isStartLineChecked = true;
      rejection = this.#handler.onStartLine(head.bytes, head.firstLineLength);
    }
    if (rejection !== null) {
      this.#reject(rejection);
    } else if (head.isComplete) {
      const { bytes: collected, length } = head;
      head.reset();
      this.#isStartLineChecked = false;
      this.#handler.onHead(collected, 0, length);
    }
  }

  #stepLength(bytes: Buffer): void {
    const end = Math.min(bytes.length, this.#offset + this.#remaining);
    const slice = this.#offset === 0 && end === bytes.length ? bytes : bytes.subarray(this.#offset, end);
    this.#remaining -= slice.length;
    this.#advance(bytes, end);
    this.#handler.onBody(slice);
    if (this.#remaining === 0 && this.#stage === "length") {
      this.#stage = "wait";
      this.#handler.onBodyEnd(null);
    }
  }

  #stepChunked(bytes: Buffer): void {
    const decoder = this.#decoder;
    if (decoder === null) return;
    this.#advance(bytes, decoder.step(bytes, this.#offset));
    if (decoder.data !== null) this.#handler.onBody(decoder.data);
    if (this.#stage !== "chunked") return;
    if (decoder.rejection !== null) {
      this.#reject(decoder.rejection);
    } else if (decoder.isDone) {
      this.#stage = "wait";
      this.#handler.onBodyEnd(decoder.trailers);
    }
  }

  #reject(rejection: Rejection): void {
    this.stop();
    this.#handler.onRejected(rejection);
  }

  #advance(bytes: Buffer, offset: number): void {
    this.#offset = offset;
    if (offset >= bytes.length) this.#bytes = null;
  }

  /** The socket reads on unless its bytes would pile up here: that is what back-pressure to the peer is. */
  #syncSocket(): void {
    const shouldPause = this.#isPaused || (this.#bytes !== null && !this.#isRunning);
    if (shouldPause === this.#isSocketPaused) return;
    this.#isSocketPaused = shouldPause;
    if (shouldPause) this.#socket.pause();
    else this.#socket.resume();
  }
}

function runReader(reader: MessageReader): void {
  reader.runNow();
}
