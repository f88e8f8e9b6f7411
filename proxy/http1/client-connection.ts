// One upstream HTTP/1 connection: one request at a time, reused while both sides allow it, never after anything unexpected.
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { type Failure, unprocessed } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { Http1ClientStream } from "./client-stream.ts";
import { badResponse, causeOf, closedHere, connectFailed, connectionLost } from "./codec-failures.ts";
import { cut } from "./cut.ts";
import { requestText } from "./head-text.ts";
import type { Http1Limits } from "./limits.ts";
import { MessageReader } from "./message-reader.ts";
import { Rejection } from "./rejection.ts";
import { type ParsedResponse, parseResponseHead, parseStatusLine } from "./response-parser.ts";
import { SocketOutput } from "./socket-output.ts";

/** What a connection asks of its pool. */
export interface ClientConnectionOwner {
  readonly limits: Http1Limits;
  readonly describe: string;
  readonly connectTimeoutMs: number;
  readonly writesAbsoluteForm: boolean;
  /** Ready for its first request, or for a next one. */
  onFree(connection: ClientConnection, keepAliveMs: number): void;
  /** A request that is safe to send again met a connection that had died while idle. */
  onStale(stream: Http1ClientStream): void;
  onGone(connection: ClientConnection): void;
}

export class ClientConnection {
  /** When, by the pool's clock, the server may close it; set by the pool. */
  expiresAtMs = 0;
  /** Closes when its request is done. */
  isRetired = false;
  #stream: Http1ClientStream | null = null;
  /** Asked for this connection before it was there. */
  #first: Http1ClientStream | null;
  #isReady = false;
  #isGone = false;
  #requests = 0;
  #writes = 0;
  #response: ParsedResponse | null = null;
  #hasResponseBytes = false;
  #error: Error | null = null;
  #connectTimer: NodeJS.Timeout | null = null;
  #isConnectTimedOut = false;
  readonly #socket: Socket;
  readonly #owner: ClientConnectionOwner;
  readonly #output: SocketOutput;
  readonly #reader: MessageReader;

  constructor(owner: ClientConnectionOwner, socket: Socket, first: Http1ClientStream) {
    this.#owner = owner;
    this.#socket = socket;
    this.#first = first;
    this.#output = new SocketOutput(socket, owner.limits.highWaterBytes);
    this.#reader = new MessageReader(socket, this, { limits: owner.limits, leadingLinesMax: 0 });
    socket.allowHalfOpen = true;
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("end", () => this.#onInputEnd());
    socket.on("drain", () => this.#onDrain());
    socket.on("error", (error) => {
      this.#error = error;
    });
    socket.on("close", () => this.#onSocketClose());
    this.#awaitReady(socket);
  }

  get isUsable(): boolean {
    return this.#isReady && this.#stream === null && !this.#isGone && !this.#socket.destroyed && this.#socket.writable;
  }

  get isBusy(): boolean {
    return this.#stream !== null || this.#first !== null;
  }

  start(stream: Http1ClientStream): void {
    this.#stream = stream;
    this.#response = null;
    this.#hasResponseBytes = false;
    this.#writes = 1;
    this.#requests++;
    this.#reader.expectHead();
    this.#output.writeText(
      requestText(stream.head, stream.hasBody, this.#owner.writesAbsoluteForm && stream.head.isAbsoluteForm === true),
    );
    if (!stream.hasBody) this.#output.flush();
    stream.attach(this);
  }

  /** The stream that asked for this connection does not want it any more. */
  forsake(stream: Http1ClientStream): void {
    if (this.#first === stream) this.#first = null;
  }

  /** A request in progress fails with the cause. */
  close(cause: Failure = closedHere(`the proxy closed its connections to ${this.#owner.describe}`)): void {
    const stream = this.#stream;
    const first = this.#first;
    this.#stream = null;
    this.#first = null;
    this.#destroy(stream?.isRaw === true);
    stream?.fail(cause);
    first?.fail(unprocessed(cause));
  }

  // From the stream.

  write(stream: Http1ClientStream, chunk: Buffer): boolean {
    if (stream !== this.#stream) return true;
    this.#writes++;
    if (stream.isRaw) return stream.isRawEnded || this.#output.writeBytes(chunk);
    if (stream.isRequestEnded) return true;
    if (stream.head.bodyLength < 0) return this.#output.writeChunk(chunk);
    stream.remaining -= chunk.length;
    if (stream.remaining < 0) {
      this.#failLater(stream, "more of a request's body than its length");
      return true;
    }
    return this.#output.writeBytes(chunk);
  }

  end(stream: Http1ClientStream, trailers: Fields | null): void {
    if (stream !== this.#stream) return;
    if (stream.isRaw) {
      stream.isRawEnded = true;
      this.#output.flush();
      this.#socket.end();
      if (this.#socket.readableEnded) this.#finishRaw();
      return;
    }
    if (stream.isRequestEnded) return;
    if (stream.head.bodyLength < 0) this.#output.endChunks(trailers);
    else if (stream.remaining > 0) {
      this.#failLater(stream, "less of a request's body than its length");
      return;
    }
    stream.isRequestEnded = true;
    this.#output.flush();
  }

  abort(): void {
    const isRaw = this.#stream?.isRaw === true;
    this.#stream = null;
    this.#destroy(isRaw);
  }

  pause(): void {
    this.#reader.pause();
  }

  resume(): void {
    this.#reader.resume();
  }

  // From the socket.

  #awaitReady(socket: Socket): void {
    const isTls = socket instanceof TLSSocket;
    const isOpen = isTls ? !(socket as TLSSocket & { secureConnecting: boolean }).secureConnecting : !socket.connecting;
    if (isOpen) {
      process.nextTick(() => this.#onReady());
      return;
    }
    socket.once(isTls ? "secureConnect" : "connect", () => this.#onReady());
    this.#connectTimer = setTimeout(() => {
      this.#isConnectTimedOut = true;
      this.#destroy(false);
    }, this.#owner.connectTimeoutMs);
  }

  #onReady(): void {
    if (this.#isGone || this.#socket.destroyed) return;
    this.#clearConnectTimer();
    this.#isReady = true;
    const stream = this.#first;
    this.#first = null;
    if (stream === null || stream.isOver) this.#owner.onFree(this, -1);
    else this.start(stream);
  }

  #onData(chunk: Buffer): void {
    if (this.#stream === null) {
      // RFC 9112 9.2: what comes unasked on an idle connection answers nothing; a next request must not get it.
      this.#destroy(false);
      return;
    }
    this.#hasResponseBytes = true;
    this.#reader.push(chunk);
  }

  #onInputEnd(): void {
    const stream = this.#stream;
    if (stream?.isRaw === true) {
      stream.events.onEnd(null);
      if (stream.isRawEnded) this.#finishRaw();
      return;
    }
    if (stream !== null && this.#response?.framing === "close" && this.#reader.stage === "raw") {
      this.#finishResponse(null);
      return;
    }
    this.#destroy(false);
  }

  #onDrain(): void {
    if (!this.#output.isAwaitingDrain) return;
    this.#output.isAwaitingDrain = false;
    const stream = this.#stream;
    if (stream === null || stream.isRequestDropped) return;
    if (stream.isRaw ? !stream.isRawEnded : !stream.isRequestEnded) stream.events.onDrain();
  }

  #onSocketClose(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#clearConnectTimer();
    this.#reader.stop();
    const stream = this.#stream ?? this.#first;
    this.#stream = null;
    this.#first = null;
    this.#owner.onGone(this);
    if (stream === null || stream.isOver) return;
    if (this.#requests > 1 && !this.#hasResponseBytes && stream.isReplayable) {
      stream.isRetried = true;
      stream.connection = null;
      this.#owner.onStale(stream);
    } else {
      stream.fail(this.#lossOf(stream));
    }
  }

  #lossOf(stream: Http1ClientStream): Failure {
    const { describe, connectTimeoutMs } = this.#owner;
    const cause = causeOf(this.#error);
    if (!this.#isReady) {
      const why = this.#isConnectTimedOut ? `no connection within ${connectTimeoutMs} ms` : cause;
      return connectFailed(`cannot connect to ${describe}: ${why}`);
    }
    if (stream.isResponseBegun) {
      return connectionLost(`${describe} closed the connection before its response was complete (${cause})`, {
        isBegun: true,
        isUnprocessed: false,
      });
    }
    return connectionLost(`${describe} closed the connection before it answered (${cause})`, {
      isBegun: false,
      isUnprocessed: this.#isNothingSent(),
    });
  }

  /** The very first write was refused by the kernel: it took no byte of it. Anything else may have arrived. */
  #isNothingSent(): boolean {
    const error: NodeJS.ErrnoException | null = this.#error;
    return this.#writes === 1 && error?.syscall === "write" && error.code === "EPIPE" && !this.#hasResponseBytes;
  }

  // From the reader.

  onStartLine(bytes: Buffer, end: number): Rejection | null {
    const line = parseStatusLine(bytes, 0, bytes.toString("latin1", 0, end));
    return line instanceof Rejection ? line : null;
  }

  onHead(bytes: Buffer, start: number, end: number): void {
    const stream = this.#stream;
    if (stream === null) return;
    const response = parseResponseHead(bytes, start, end, {
      limits: this.#owner.limits,
      isHead: stream.head.method === "HEAD",
      upgrade: stream.head.upgrade,
    });
    if (response instanceof Rejection) {
      this.onRejected(response);
      return;
    }
    if (response.head.status < 200 && response.framing !== "raw") {
      this.#hasResponseBytes = true;
      stream.events.onInformational(response.head);
      return;
    }
    this.#begin(stream, response);
  }

  #begin(stream: Http1ClientStream, response: ParsedResponse): void {
    this.#response = response;
    stream.isResponseBegun = true;
    this.#expectBody(response);
    if (response.framing === "raw") stream.isRaw = true;
    else if (!stream.isRequestEnded && (response.head.status >= 400 || !response.isPersistent))
      this.#dropRequest(stream);
    stream.events.onResponse(response.head);
    if (response.framing === "none" && this.#stream === stream) this.#finishResponse(null);
  }

  #expectBody(response: ParsedResponse): void {
    if (response.framing === "chunked") this.#reader.expectChunks();
    else if (response.framing === "raw" || response.framing === "close") this.#reader.expectRaw();
    else this.#reader.expectLength(response.head.bodyLength);
  }

  /** RFC 9112 9.5: a client that sees an error response stops sending. The connection cannot be used again then. */
  #dropRequest(stream: Http1ClientStream): void {
    stream.isRequestDropped = true;
    if (!this.#output.isAwaitingDrain) return;
    this.#output.isAwaitingDrain = false;
    // Whoever waits for room may not wait for ever: the client may read its response only once it has sent all.
    process.nextTick(() => stream.isOver || stream.events.onDrain());
  }

  onBody(slice: Buffer): void {
    this.#stream?.events.onData(slice);
  }

  onBodyEnd(trailers: Fields | null): void {
    this.#finishResponse(trailers);
  }

  onRejected(rejection: Rejection): void {
    const stream = this.#stream;
    this.#stream = null;
    this.#destroy(false);
    stream?.fail(badResponse(rejection, this.#owner.describe));
  }

  // Ends.

  #finishResponse(trailers: Fields | null): void {
    const stream = this.#stream;
    const response = this.#response;
    if (stream === null || response === null) return;
    this.#stream = null;
    const isReusable =
      response.isPersistent &&
      stream.isRequestEnded &&
      !this.isRetired &&
      !this.#reader.hasRest &&
      !this.#socket.readableEnded;
    stream.isOver = true;
    stream.connection = null;
    this.#reader.resume();
    if (isReusable) this.#owner.onFree(this, response.keepAliveMs);
    else this.#destroy(false);
    stream.events.onEnd(trailers);
  }

  #finishRaw(): void {
    const stream = this.#stream;
    this.#stream = null;
    if (stream === null) return;
    stream.isOver = true;
    stream.connection = null;
  }

  /** Not at once: `onAbort` never comes from inside a write. */
  #failLater(stream: Http1ClientStream, what: string): void {
    this.#stream = null;
    this.#destroy(false);
    process.nextTick(() => stream.fail(closedHere(`${what} was written towards ${this.#owner.describe}`)));
  }

  #destroy(isEndSignificant: boolean): void {
    this.#clearConnectTimer();
    this.#reader.stop();
    cut(this.#socket, isEndSignificant);
  }

  #clearConnectTimer(): void {
    if (this.#connectTimer !== null) clearTimeout(this.#connectTimer);
    this.#connectTimer = null;
  }
}
