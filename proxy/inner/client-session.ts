// The caller's end of a session: opens streams, and knows for each whether its peer can have seen the request.
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import type { ClientStreamEvents, OutgoingRequest } from "../http/stream.ts";
import { InnerClientStream } from "./client-stream.ts";
import type { Timer } from "./clock.ts";
import { FrameType, InnerViolation, ResetCode, streamIdMax } from "./frames.ts";
import { decodeResponse, requestText } from "./head-text.ts";
import type { InnerStream } from "./inner-stream.ts";
import { InnerSession, type SessionLoss, type SessionOptions } from "./session.ts";

export class InnerClientSession extends InnerSession {
  /** Opened before the peer's HELLO. Nothing of them is sent until then, so that they can be taken back. */
  #waiting: InnerClientStream[] = [];
  #isDraining = false;
  /** A ping is out that must be answered before a request goes. */
  #isAsking = false;
  readonly #onOver: () => void;
  readonly #helloTimer: Timer;

  /** `socket` may still be connecting. `onOver` is called once, when the session takes no more streams. */
  constructor(socket: Duplex, options: SessionOptions, onOver: () => void) {
    super(socket, options);
    this.#onOver = onOver;
    const { helloMs } = options.limits;
    this.#helloTimer = options.clock.setTimeout(() => {
      this.lose({ reason: `it did not accept the connection within ${helloMs} ms`, failure: null });
    }, helloMs);
    whenConnected(socket, () => {
      if (this.loss === null && !socket.destroyed) this.begin();
    });
  }

  get isUsable(): boolean {
    return this.loss === null && !this.#isDraining && this.lastStream + this.#waiting.length < streamIdMax;
  }

  get openStreams(): number {
    return this.streams.size + this.#waiting.length;
  }

  /** Trouble arrives as `onAbort`, after this has returned. */
  open(request: OutgoingRequest, events: ClientStreamEvents): InnerClientStream {
    const stream = new InnerClientStream(this, request, events);
    const { limits, describe } = this;
    if (request.head.upgrade !== null) {
      stream.failLater(refused("LR", 502, "inner_protocol_error", "an Upgrade cannot cross a multiplexed session"));
    } else if (this.openStreams >= limits.streamsMax) {
      const reason = `${describe} has ${limits.streamsMax} requests open, which is the most that one session takes`;
      stream.failLater(refused("UO", 503, "upstream_reset_before_response_started{overflow}", reason));
    } else if (this.peerWindow < 0 || this.#asks()) {
      this.#waiting.push(stream);
    } else {
      this.#start(stream);
    }
    return stream;
  }

  /**
   * The peer may have gone without a word while nothing was said (its container was restarted while no daemon ran, this
   * machine slept): a request must not be the first to find out, since nobody could tell whether it was processed.
   */
  #asks(): boolean {
    if (this.#isAsking || this.streams.size > 0 || this.watch.silentMs < this.limits.staleMs) return this.#isAsking;
    this.#isAsking = true;
    this.watch.ask();
    return true;
  }

  protected override onHeard(): void {
    if (!this.#isAsking || this.loss !== null) return;
    this.#isAsking = false;
    this.watch.rest();
    this.#startWaiting();
  }

  /** Takes no more streams; closes when those that are open are over. */
  drain(): void {
    this.#retire();
    if (this.openStreams === 0) this.finish({ reason: "it was drained", failure: null });
  }

  override forget(stream: InnerStream): void {
    if (stream.id === 0) this.#waiting = this.#waiting.filter((waiting) => waiting !== stream);
    else super.forget(stream);
  }

  #start(stream: InnerClientStream): void {
    const text = requestText(stream.request);
    if (text === null || text.length > this.limits.headBytesMax) {
      const reason = "the request's head has bytes that cannot be sent, or too many";
      stream.failLater(refused("DPE", 400, "inner_protocol_error", reason));
      return;
    }
    stream.id = ++this.lastStream;
    stream.sendWindow = this.peerWindow;
    stream.headFlush = this.flushes;
    this.streams.set(stream.id, stream);
    this.watch.watch();
    this.writer.text(FrameType.request, stream.id, text);
    this.schedule();
    stream.start();
  }

  protected override onHello(): void {
    this.#helloTimer.cancel();
    this.#startWaiting();
    if (this.#isDraining && this.openStreams === 0) this.finish({ reason: "it was drained", failure: null });
  }

  #startWaiting(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stream of waiting) this.#start(stream);
  }

  protected override onHead(type: number, id: number, isEnd: boolean, payload: Buffer): void {
    if (type === FrameType.request) throw new InnerViolation("wrong-direction", "a REQUEST came from the receiver");
    const stream = this.find(type, id);
    if (!(stream instanceof InnerClientStream)) return;
    if (stream.isRemoteDone) throw new InnerViolation("frame-after-end", `a head after the end of stream ${id}`);
    if (stream.hasResponse) throw new InnerViolation("frame-order", `a head after the response of stream ${id}`);
    const decoded = decodeResponse(payload, this.limits.fieldsMax);
    const isInformational = type === FrameType.informational;
    if (!isInformational) stream.hasResponse = true;
    if (decoded.kind === "malformed") {
      stream.receiveMalformed(decoded.reason, isEnd);
      return;
    }
    const { status } = decoded.value;
    if (status === 101 || status < 200 !== isInformational) {
      stream.receiveMalformed(`status ${status} cannot be here`, isEnd);
    } else if (isInformational) {
      stream.receiveInformational(decoded.value);
    } else {
      stream.receiveResponse(decoded.value);
      if (isEnd && !stream.isRemoteDone) stream.receiveEnd(null);
    }
  }

  protected override onDrainRequest(lastStream: number): void {
    this.#retire();
    const cause = refused("UF", 503, "upstream_reset_before_response_started{connection_termination}", "");
    const reason = `${this.describe} is shutting down and did not take the request`;
    const untaken = [...this.#waiting, ...this.streams.values()].filter(
      (stream) => stream.id === 0 || stream.id > lastStream,
    );
    this.#waiting = [];
    for (const stream of untaken) {
      this.streams.delete(stream.id);
      stream.lose({ ...cause, reason });
    }
    if (this.openStreams === 0) this.onIdle();
  }

  protected override onIdle(): void {
    if (this.#isDraining && this.openStreams === 0) this.finish({ reason: "it was drained", failure: null });
  }

  protected override checkReset(code: number): void {
    if (code === ResetCode.cancel) throw new InnerViolation("wrong-direction", "the receiver sent CANCEL");
  }

  protected override checkBody(stream: InnerStream): void {
    if (stream instanceof InnerClientStream && !stream.hasResponse && !stream.isRemoteDone) {
      throw new InnerViolation("frame-order", `a body before the response of stream ${stream.id}`);
    }
  }

  protected override isIgnored(): boolean {
    return false;
  }

  protected override onLost(loss: SessionLoss): void {
    this.#helloTimer.cancel();
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const stream of waiting) stream.lose(this.lossFailure(stream, loss));
    this.#retire();
  }

  protected override lossFailure(stream: InnerStream, loss: SessionLoss): Failure {
    const { isHeadSent, hasResponse } = stream as InnerClientStream;
    const isUnprocessed = !isHeadSent;
    if (loss.failure !== null) return { ...loss.failure, isUnprocessed };
    if (this.peerWindow < 0) {
      const reason = `cannot connect to ${this.describe}: ${loss.reason}`;
      return refused("UF", 503, "upstream_reset_before_response_started{connection_failure}", reason);
    }
    const when = hasResponse ? "after" : "before";
    const detail = `upstream_reset_${when}_response_started{connection_termination}`;
    return { ...failure("UC", 503, detail, `lost the connection to ${this.describe}: ${loss.reason}`), isUnprocessed };
  }

  #retire(): void {
    if (this.#isDraining) return;
    this.#isDraining = true;
    this.#onOver();
  }
}

function refused(flag: Failure["flag"], status: number, detail: string, reason: string): Failure {
  return unprocessed(failure(flag, status, detail, reason));
}

function whenConnected(socket: Duplex, then: () => void): void {
  // A TLSSocket is writable before its handshake; what is written then could not be taken back any more.
  if (socket instanceof TLSSocket && !socket.getProtocol()) socket.once("secureConnect", then);
  else if ("connecting" in socket && socket.connecting === true) socket.once("connect", then);
  else then();
}
