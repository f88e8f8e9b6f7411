// One connection between two sidecars, the part that both ends share: what comes in is cut into frames and handed to its
// stream, what goes out is collected and written once a turn of the event loop, the streams with data taking turns.
import type { Duplex } from "node:stream";
import type { Failure } from "../http/failure.ts";
import type { Clock } from "./clock.ts";
import { FrameReader, type FrameSink } from "./frame-reader.ts";
import { FrameWriter } from "./frame-writer.ts";
import { FrameType, InnerViolation, windowBytesMax } from "./frames.ts";
import { decodeTrailers } from "./head-text.ts";
import type { InnerStream } from "./inner-stream.ts";
import type { InnerLimits } from "./limits.ts";
import { PeerWatch } from "./peer-watch.ts";
import { decodeGoaway, decodeReset, encodeGoaway, encodeReset, type Goaway } from "./reset.ts";

export interface SessionOptions {
  readonly limits: InnerLimits;
  readonly clock: Clock;
  /** Who is at the other end, for people. */
  readonly describe: string;
}

/** Why a session ended, for people and for the log. */
export interface SessionLoss {
  readonly reason: string;
  /** A Failure that the connection's error carried, or that the owner gave. */
  readonly failure: Failure | null;
}

export abstract class InnerSession implements FrameSink {
  readonly limits: InnerLimits;
  readonly describe: string;
  readonly writer = new FrameWriter();
  readonly streams = new Map<number, InnerStream>();
  /** Bytes that streams hold for readers that stopped. */
  heldBytes = 0;
  /** Writes handed to the socket: whether a head has left is known by comparing. */
  flushes = 0;
  loss: SessionLoss | null = null;
  protected readonly socket: Duplex;
  protected readonly watch: PeerWatch;
  /** The newest stream that the caller opened. */
  protected lastStream = 0;
  /** The window of a new stream towards the peer; -1 until its HELLO. */
  protected peerWindow = -1;
  readonly #reader: FrameReader;
  readonly #clock: Clock;
  readonly #round: InnerStream[] = [];
  readonly #drained: InnerStream[] = [];
  readonly #writing: Buffer[] = [];
  #current: InnerStream | null = null;
  #isScheduled = false;
  #isOpen = false;
  #isBlocked = false;
  #isEnding = false;

  constructor(socket: Duplex, options: SessionOptions) {
    this.socket = socket;
    this.limits = options.limits;
    this.describe = options.describe;
    this.#clock = options.clock;
    this.#reader = new FrameReader(this, options.limits.headBytesMax);
    this.watch = new PeerWatch(options, {
      ping: (token) => {
        this.writer.number(FrameType.ping, 0, token);
        this.schedule();
      },
      dead: (reason) => this.lose({ reason, failure: null }),
    });
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("end", () => this.lose({ reason: "it closed the connection", failure: null }));
    socket.on("error", (error) => this.lose({ reason: error.message, failure: carriedFailure(error) }));
    socket.on("close", () => this.lose({ reason: "the connection was closed", failure: null }));
  }

  // Life.

  /** The socket can be written to. HELLO is the first frame. */
  protected begin(): void {
    this.#isOpen = true;
    this.writer.number(FrameType.hello, 0, this.limits.windowBytes);
    this.schedule();
  }

  /** Ends the session and fails its streams. Nothing happens the second time. */
  lose(loss: SessionLoss): void {
    if (this.loss !== null) return;
    this.loss = loss;
    this.#reader.stop();
    this.watch.stop();
    this.#round.length = 0;
    if (!this.#isEnding) this.socket.destroy();
    const streams = [...this.streams.values()];
    this.streams.clear();
    for (const stream of streams) stream.lose(this.lossFailure(stream, loss));
    this.onLost(loss);
  }

  /**
   * Sends what is assembled and ends the socket. What still comes in is read and dropped, since a close with unread bytes
   * is a RST that would take our last frames with it; a peer that does not close in time is cut.
   */
  protected finish(loss: SessionLoss): void {
    if (this.loss !== null || this.#isEnding) return;
    this.#isEnding = true;
    const { socket } = this;
    const timer = this.#clock.setTimeout(() => socket.destroy(), this.limits.lingerMs);
    socket.once("close", () => timer.cancel());
    socket.end(this.writer.take());
    this.lose(loss);
  }

  #violated(violation: InnerViolation): void {
    this.writeGoaway({ lastStream: this.lastStream, rule: violation.rule, text: violation.message });
    this.finish({ reason: `it broke the protocol (${violation.rule}): ${violation.message}`, failure: null });
  }

  // Out.

  /** False while a stream has to queue: nothing may be sent, others wait, or this turn's write is long enough. */
  canWriteNow(): boolean {
    return this.#isOpen && !this.#isBlocked && this.#round.length === 0 && this.writer.used < this.limits.flushBytes;
  }

  addToRound(stream: InnerStream): void {
    if (stream.isInRound || !stream.canSend()) return;
    stream.isInRound = true;
    this.#round.push(stream);
    this.schedule();
  }

  writeEnd(stream: number, trailers: string): void {
    if (trailers === "") this.writer.end(stream);
    else this.writer.text(FrameType.end, stream, trailers);
    this.schedule();
  }

  writeReset(stream: number, code: number, cause: Failure | null): void {
    this.writer.bytes(FrameType.reset, stream, encodeReset(code, cause));
    this.schedule();
  }

  writeWindow(stream: number, bytes: number): void {
    this.writer.number(FrameType.window, stream, bytes);
    this.schedule();
  }

  protected writeGoaway(goaway: Goaway): void {
    this.writer.bytes(FrameType.goaway, 0, encodeGoaway(goaway));
    this.schedule();
  }

  schedule(): void {
    if (this.#isScheduled || !this.#isOpen || this.loss !== null) return;
    if (this.#isBlocked) {
      if (this.writer.used > this.limits.unsentBytesMax) this.#giveUp();
      return;
    }
    this.#isScheduled = true;
    setImmediate(this.#flush);
  }

  readonly #flush = (): void => {
    this.#isScheduled = false;
    if (this.loss !== null || this.#isBlocked) return;
    const { writer } = this;
    while (writer.used < this.limits.flushBytes) {
      const stream = this.#round.shift();
      if (stream === undefined) break;
      stream.isInRound = false;
      if (!stream.canSend()) continue;
      stream.writeFrame(writer);
      if (stream.wantsDrain()) this.#drained.push(stream);
      this.addToRound(stream);
    }
    if (writer.used > 0) {
      const bytes = writer.take();
      this.#writing.push(bytes);
      this.flushes++;
      this.#isBlocked = !this.socket.write(bytes, this.#onWritten);
    }
    if (this.#round.length > 0) this.schedule();
    if (this.#drained.length > 0) for (const stream of this.#drained.splice(0)) stream.drained();
  };

  /** Writes are completed in order, so that the oldest buffer is the one that is free again. */
  readonly #onWritten = (error?: Error | null): void => {
    const bytes = this.#writing.shift();
    if (bytes !== undefined && !error) this.writer.reuse(bytes);
  };

  #onDrain(): void {
    this.#isBlocked = false;
    if (this.writer.used > 0 || this.#round.length > 0) this.schedule();
  }

  #giveUp(): void {
    const reason = `it does not read: ${this.writer.used} bytes wait`;
    setImmediate(() => this.lose({ reason, failure: null }));
  }

  // In.

  #onData(chunk: Buffer): void {
    if (this.loss !== null) return;
    this.watch.heard();
    try {
      this.#reader.push(chunk);
      this.onHeard();
    } catch (error) {
      if (!(error instanceof InnerViolation)) throw error;
      this.#violated(error);
    }
  }

  /** Something came, and was dealt with. */
  protected onHeard(): void {
    // Only a caller waits for it.
  }

  onDataStart(id: number, length: number): void {
    const stream = this.find(FrameType.data, id);
    this.#current = stream;
    if (stream === null) return;
    this.checkBody(stream);
    stream.receiveStart(length);
  }

  onDataSlice(slice: Buffer): void {
    this.#current?.receiveSlice(slice);
  }

  onDataEnd(isEnd: boolean): void {
    if (isEnd) this.#current?.receiveEnd(null);
  }

  onFrame(type: number, id: number, isEnd: boolean, payload: Buffer): void {
    switch (type) {
      case FrameType.request:
      case FrameType.response:
      case FrameType.informational:
        if (this.peerWindow < 0) throw new InnerViolation("hello-expected", "a head came before HELLO");
        this.onHead(type, id, isEnd, payload);
        return;
      case FrameType.end: {
        const stream = this.find(type, id);
        if (stream !== null) this.#receiveEnd(stream, payload);
        return;
      }
      case FrameType.reset: {
        const { code, failure } = decodeReset(payload);
        this.checkReset(code);
        this.find(type, id)?.receiveReset(failure);
        return;
      }
      case FrameType.window:
        this.find(type, id)?.addCredit(payload.readUInt32BE(0));
        return;
      default:
        if (id !== 0) throw new InnerViolation("stream-id", `a frame of type ${type} names stream ${id}`);
        this.#onSessionFrame(type, payload);
    }
  }

  #onSessionFrame(type: number, payload: Buffer): void {
    if (type === FrameType.hello) {
      if (this.peerWindow >= 0) throw new InnerViolation("frame-order", "a second HELLO");
      this.peerWindow = payload.readUInt32BE(0);
      if (this.peerWindow > windowBytesMax)
        throw new InnerViolation("window-overflow", "the window of HELLO is too large");
      this.onHello();
      return;
    }
    if (type === FrameType.goaway) {
      const goaway = decodeGoaway(payload);
      if (goaway.rule === "drain") this.onDrainRequest(goaway.lastStream);
      else this.lose({ reason: `it says that we broke the protocol (${goaway.rule}): ${goaway.text}`, failure: null });
      return;
    }
    if (this.peerWindow < 0) throw new InnerViolation("hello-expected", `a frame of type ${type} came before HELLO`);
    if (type === FrameType.ping) {
      this.writer.number(FrameType.pong, 0, payload.readUInt32BE(0));
      this.schedule();
    }
  }

  #receiveEnd(stream: InnerStream, payload: Buffer): void {
    this.checkBody(stream);
    const trailers = decodeTrailers(payload, this.limits.fieldsMax);
    if (trailers.kind === "head") stream.receiveEnd(trailers.value);
    else stream.receiveMalformed(trailers.reason, true);
  }

  /** Null: the frame is about a stream that is over, which is harmless for this type. */
  protected find(type: number, id: number): InnerStream | null {
    if (this.peerWindow < 0) throw new InnerViolation("hello-expected", `a frame of type ${type} came before HELLO`);
    const stream = this.streams.get(id);
    if (stream !== undefined) return stream;
    if (this.isIgnored(id)) return null;
    if (id === 0 || id > this.lastStream) throw new InnerViolation("stream-id", `stream ${id} was never opened`);
    // Both cross the peer's own last frame on the way. DATA and END cannot: each direction has one end.
    if (type === FrameType.reset || type === FrameType.window) return null;
    throw new InnerViolation("frame-after-end", `a frame of type ${type} after the end of stream ${id}`);
  }

  /** Both directions of the stream are over. */
  forget(stream: InnerStream): void {
    if (!this.streams.delete(stream.id)) return;
    if (this.streams.size > 0) return;
    this.watch.rest();
    this.onIdle();
  }

  protected abstract onHello(): void;
  protected abstract onHead(type: number, id: number, isEnd: boolean, payload: Buffer): void;
  /** The peer takes no stream above this one. */
  protected abstract onDrainRequest(lastStream: number): void;
  /** Throws InnerViolation when this side may not receive the code. */
  protected abstract checkReset(code: number): void;
  /** Throws InnerViolation when no body may come on the stream yet. */
  protected abstract checkBody(stream: InnerStream): void;
  /** True for streams that this side said it would not take. */
  protected abstract isIgnored(id: number): boolean;
  protected abstract onIdle(): void;
  protected abstract onLost(loss: SessionLoss): void;
  protected abstract lossFailure(stream: InnerStream, loss: SessionLoss): Failure;
}

function carriedFailure(error: Error): Failure | null {
  return "failure" in error ? (error.failure as Failure) : null;
}
