// One downstream HTTP/1 connection: requests one at a time and in order, keep-alive, upgrade, drain, and every deadline of a client.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import type { Failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { Peer, ServerStream } from "../http/stream.ts";
import { badRequest, causeOf, clientGone, clientSlow, closedHere } from "./codec-failures.ts";
import { cut } from "./cut.ts";
import { errorReplyText } from "./error-reply.ts";
import type { Http1Limits } from "./limits.ts";
import { MessageReader } from "./message-reader.ts";
import { Rejection } from "./rejection.ts";
import { parseRequestHead, parseRequestLine } from "./request-parser.ts";
import { Http1ServerStream } from "./server-stream.ts";
import { SocketOutput } from "./socket-output.ts";
import { processSweeper, type Sweeper } from "./sweeper.ts";
import { WriteStall } from "./write-stall.ts";

export interface Http1ServerOptions {
  readonly peer: Peer;
  readonly scheme: "http" | "https";
  readonly limits: Http1Limits;
  /** What was read of the socket before (to sniff the protocol). */
  readonly initial?: Buffer;
  /** Takes the request: sets `stream.events` before it returns. */
  onRequest(stream: ServerStream): void;
  /** A request that never became a stream; the reply was already sent. */
  onRejected?(failure: Failure): void;
  /** Once, when the socket is gone. */
  onClose(): void;
  readonly sweeper?: Sweeper;
}

/** Serves HTTP/1 on an open socket, which it owns from now on. */
export function serveHttp1(socket: Socket | TLSSocket, options: Http1ServerOptions): Http1ServerConnection {
  return new Http1ServerConnection(socket, options);
}

/** What the deadline in force is about. */
type Waiting = "request" | "head" | "body" | "half-close" | "linger" | "nothing";

export class Http1ServerConnection {
  readonly output: SocketOutput;
  readonly peer: Peer;
  isDraining = false;
  readonly #socket: Socket;
  readonly #options: Http1ServerOptions;
  readonly #limits: Http1Limits;
  readonly #reader: MessageReader;
  readonly #sweeper: Sweeper;
  readonly #stall: WriteStall;
  #stream: Http1ServerStream | null = null;
  #waiting: Waiting = "request";
  #deadline = 0;
  #isInputEnded = false;
  /** Written when the client closed its side, or when that was looked at last. */
  #halfCloseBytes = 0;
  /** The last response is written; whatever the client still sends is nobody's. */
  #isLingering = false;
  #discardedBytes = 0;
  #isClosed = false;
  #error: Error | null = null;

  constructor(socket: Socket, options: Http1ServerOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#limits = options.limits;
    this.peer = options.peer;
    this.#sweeper = options.sweeper ?? processSweeper;
    this.output = new SocketOutput(socket, this.#limits.highWaterBytes);
    this.#stall = new WriteStall(socket, this.#limits.bodyIdleMs);
    this.#reader = new MessageReader(socket, this, {
      limits: this.#limits,
      leadingLinesMax: this.#limits.leadingLinesMax,
    });
    // A client may close its sending side and still read: node must not answer that with a close of its own.
    socket.allowHalfOpen = true;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onInputEnd());
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#onSocketClose());
    this.#wait("request", this.#limits.keepAliveMs);
    this.#sweeper.add(this);
    // Paused until what was read before is through: the socket may be flowing, or stopped by whoever sniffed at it.
    socket.pause();
    process.nextTick(() => this.#begin());
  }

  /** Finishes the request in progress with `Connection: close`, then ends. An upgraded connection goes on until `close`. */
  drain(): void {
    this.isDraining = true;
    if (this.#stream === null && !this.#isLingering && !this.#reader.isMidHead) this.#linger();
  }

  /** Cuts the connection; a request in progress is aborted (LR). */
  close(): void {
    this.#abortStream(closedHere("the proxy closed the connection"));
    this.#socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    if (!this.#socket.closed) await new Promise((resolve) => this.#socket.once("close", resolve));
  }

  // From the socket.

  #begin(): void {
    if (this.#socket.destroyed) {
      this.#onSocketClose();
      return;
    }
    this.#socket.resume();
    const { initial } = this.#options;
    if (initial !== undefined) this.#onData(initial);
    // Whoever sniffed may have met the client's FIN already; it is not told twice.
    if (this.#socket.readableEnded) this.#onInputEnd();
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosed) return;
    if (this.#isLingering) {
      this.#discard(chunk.length);
      return;
    }
    this.#reader.push(chunk);
    if (this.#reader.isMidHead && this.#waiting !== "head") this.#wait("head", this.#limits.headMs);
  }

  #onInputEnd(): void {
    this.#isInputEnded = true;
    const stream = this.#stream;
    if (this.#isLingering) return;
    if (stream === null) {
      // Between requests it is a goodbye; in the middle of a head there is nothing that could be answered.
      this.#linger();
    } else if (stream.framing === "raw") {
      stream.isRequestEnded = true;
      stream.events.onEnd(null);
      this.#endRawIfBothEnded(stream);
    } else if (stream.isResponseEnded) {
      // It was answered early and will not send the rest: what was written may still be under way.
      this.#linger();
    } else if (!stream.isRequestEnded) {
      this.#abortStream(clientGone("the client closed the connection before its request body was complete"));
      this.#socket.destroy();
    } else {
      this.#waitForHalfClosed();
    }
  }

  #waitForHalfClosed(): void {
    this.#halfCloseBytes = this.#socket.bytesWritten;
    this.#wait("half-close", this.#limits.halfCloseMs);
  }

  #onDrain(): void {
    if (!this.output.isAwaitingDrain) return;
    this.output.isAwaitingDrain = false;
    const stream = this.#stream;
    if (stream !== null && !stream.isResponseEnded) stream.events.onDrain();
  }

  #onSocketClose(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#sweeper.remove(this);
    this.#abortStream(
      clientGone(`the client's connection broke (${causeOf(this.#error)}) before the response was complete`),
    );
    this.#reader.stop();
    this.#options.onClose();
  }

  // From the reader.

  onStartLine(bytes: Buffer, end: number): Rejection | null {
    const line = parseRequestLine(bytes, 0, { text: bytes.toString("latin1", 0, end), limits: this.#limits });
    return line instanceof Rejection ? line : null;
  }

  onHead(bytes: Buffer, start: number, end: number): void {
    const request = parseRequestHead(bytes, start, end, { limits: this.#limits, scheme: this.#options.scheme });
    if (request instanceof Rejection) {
      this.#reader.stop();
      this.onRejected(request);
      return;
    }
    const stream = new Http1ServerStream(this, request);
    this.#stream = stream;
    const { bodyLength, expectsContinue } = request.head;
    if (bodyLength < 0) this.#reader.expectChunks();
    else this.#reader.expectLength(bodyLength);
    // A client that waits for 100 owes nothing until it has it.
    if (bodyLength === 0 || expectsContinue) this.#waitForNothing();
    else this.#wait("body", this.#limits.bodyIdleMs);
    this.#options.onRequest(stream);
  }

  onBody(slice: Buffer): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.isRequestBegun = true;
    if (stream.framing !== "raw") this.#wait("body", this.#limits.bodyIdleMs);
    if (stream.isResponseEnded && stream.framing !== "raw") this.#discard(slice.length);
    else stream.events.onData(slice);
  }

  onBodyEnd(trailers: Fields | null): void {
    const stream = this.#stream;
    if (stream === null) return;
    stream.isRequestEnded = true;
    this.#waitForNothing();
    if (stream.isResponseEnded) this.#next();
    else stream.events.onEnd(trailers);
  }

  onRejected(rejection: Rejection): void {
    this.#refuse(badRequest(rejection));
  }

  // From the stream.

  pauseRequest(): void {
    this.#reader.pause();
    if (this.#waiting === "body") this.#waitForNothing();
  }

  resumeRequest(): void {
    if (!this.#reader.isPaused) return;
    this.#reader.resume();
    const stream = this.#stream;
    if (stream === null || stream.isRequestEnded || stream.framing === "raw") return;
    if (!stream.head.expectsContinue || stream.isContinued || stream.isRequestBegun) this.onContinued();
  }

  onContinued(): void {
    if (this.#stream?.isRequestEnded === false) this.#wait("body", this.#limits.bodyIdleMs);
  }

  onUpgraded(stream: Http1ServerStream): void {
    stream.isRequestEnded = this.#isInputEnded;
    this.#waitForNothing();
    this.#reader.expectRaw();
    if (this.#isInputEnded) process.nextTick(() => stream.isOver || stream.events.onEnd(null));
  }

  onResponseEnd(stream: Http1ServerStream): void {
    if (stream.framing === "raw") {
      this.#socket.end();
      this.#endRawIfBothEnded(stream);
    } else if (stream.isLast) {
      this.#linger();
    } else if (stream.isRequestEnded) {
      this.#next();
    } else {
      // The rest of the body is read and thrown away, so that the next request is found where it begins.
      this.#reader.resume();
      this.#wait("body", this.#limits.bodyIdleMs);
    }
  }

  onResponseCut(stream: Http1ServerStream): void {
    if (this.#stream === stream) this.#stream = null;
    this.#reader.stop();
    cut(this.#socket, stream.framing === "raw" || stream.framing === "close");
  }

  // Life and death.

  #next(): void {
    this.#finishStream();
    if (this.isDraining || this.#isInputEnded) {
      this.#linger();
      return;
    }
    this.#discardedBytes = 0;
    this.#reader.resume();
    this.#wait("request", this.#limits.keepAliveMs);
    this.#reader.expectHead();
  }

  #finishStream(): void {
    if (this.#stream !== null) this.#stream.isOver = true;
    this.#stream = null;
  }

  #endRawIfBothEnded(stream: Http1ServerStream): void {
    if (stream.isRequestEnded && stream.isResponseEnded) this.#finishStream();
  }

  /** Says no more, and reads for a bounded time and size, since a close with unread bytes resets what was just written. */
  #linger(): void {
    this.#finishStream();
    this.#isLingering = true;
    this.#reader.stop();
    this.output.flush();
    this.#socket.end();
    this.#wait("linger", this.#limits.lingerMs);
  }

  #discard(length: number): void {
    this.#discardedBytes += length;
    if (this.#discardedBytes <= this.#limits.discardBytesMax) return;
    this.#discardedBytes = 0;
    // A close would throw away a response that is still under way; its time to arrive is the linger deadline.
    if (this.#isLingering) this.#socket.pause();
    else this.#linger();
  }

  /** The request cannot be gone on with: answers it where nothing was answered yet, and ends the connection. */
  #refuse(failure: Failure): void {
    const stream = this.#stream;
    this.#abortStream(failure);
    if (stream?.isResponseBegun === true && !stream.isResponseEnded) {
      cut(this.#socket, stream.framing === "close");
      return;
    }
    if (stream === null) this.#options.onRejected?.(failure);
    if (stream === null || !stream.isResponseBegun) this.output.writeText(errorReplyText(failure));
    this.#linger();
  }

  #abortStream(failure: Failure): void {
    const stream = this.#stream;
    if (stream === null) return;
    this.#finishStream();
    if (!stream.isResponseEnded || stream.framing === "raw") stream.events.onAbort(failure);
  }

  #wait(what: Waiting, ms: number): void {
    this.#waiting = what;
    this.#deadline = this.#sweeper.now() + ms;
  }

  #waitForNothing(): void {
    this.#waiting = "nothing";
    this.#deadline = Number.POSITIVE_INFINITY;
  }

  sweep(nowMs: number): void {
    if (this.#stream?.framing !== "raw" && this.#stall.isStalled(nowMs)) {
      this.#abortStream(clientSlow(0, "the client took none of its response for too long"));
      cut(this.#socket, true);
      return;
    }
    if (nowMs < this.#deadline) return;
    // These times begin when the client has the response, not when it was handed to the socket.
    const isWriting = this.#socket.writableLength > 0 && !this.#socket.destroyed;
    if (isWriting && (this.#waiting === "request" || this.#waiting === "linger" || this.#waiting === "half-close"))
      this.#wait(this.#waiting, this.#limits.lingerMs);
    else this.#expire();
  }

  #expire(): void {
    switch (this.#waiting) {
      case "request":
        this.#linger();
        break;
      case "head":
        this.#refuse(clientSlow(408, `the request's head was not complete within ${this.#limits.headMs} ms`));
        break;
      case "body":
        this.#refuse(clientSlow(408, `no byte of the request's body came for ${this.#limits.bodyIdleMs} ms`));
        break;
      case "half-close":
        if (this.#socket.bytesWritten !== this.#halfCloseBytes) {
          this.#waitForHalfClosed();
          break;
        }
        this.#abortStream(
          clientGone("the client closed its side of the connection, and no byte of its response came in time"),
        );
        this.#socket.destroy();
        break;
      case "linger":
        this.#socket.destroy();
        break;
      case "nothing":
        break;
    }
  }
}
