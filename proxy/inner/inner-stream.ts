// One stream of a session, the part that callers and receivers share: a body each way, its windows, its end.
// A stream lives in its session until both directions have ended, each with exactly one END or RESET.
import { type Failure, failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { BodyWriter } from "../http/stream.ts";
import type { FrameWriter } from "./frame-writer.ts";
import { dataBytesMax, InnerViolation, ResetCode, windowBytesMax } from "./frames.ts";
import { trailersText } from "./head-text.ts";
import { HeldBody } from "./held-body.ts";
import { SendQueue } from "./send-queue.ts";
import type { InnerSession } from "./session.ts";

export interface BodyEvents {
  onData(chunk: Buffer): void;
  onEnd(trailers: Fields | null): void;
  onAbort(failure: Failure): void;
  onDrain(): void;
}

export abstract class InnerStream implements BodyWriter {
  abstract events: BodyEvents;
  readonly session: InnerSession;
  /** 0 until the stream was opened on the wire. */
  id = 0;
  /** What the peer still lets us send. */
  sendWindow = 0;
  /** END or RESET was written: nothing follows from us. */
  isLocalDone = false;
  /** END or RESET was received: nothing follows from the peer. */
  isRemoteDone = false;
  /** In the session's round of streams that have something to send. */
  isInRound = false;
  /** No event is called any more. */
  protected isSilent = false;
  /** Bytes that the peer's head announced, or -1. */
  protected announcedBytes = -1;
  #receivedBytes = 0;
  readonly #queue = new SendQueue();
  #isEnding = false;
  #trailers: Fields | null = null;
  #wantsDrain = false;
  #receiveWindow: number;
  /** Consumed by our reader and not yet given back to the peer. */
  #credit = 0;
  #isGrown = false;
  #isPaused = false;
  #isDelivering = false;
  readonly #held = new HeldBody();
  #isEndHeld = false;
  #endTrailers: Fields | null = null;

  constructor(session: InnerSession) {
    this.session = session;
    this.#receiveWindow = session.limits.windowBytes;
  }

  // Sending.

  write(chunk: Buffer): boolean {
    if (this.isLocalDone || this.#isEnding) return true;
    const { length } = chunk;
    if (length === 0) return true;
    const queue = this.#queue;
    if (queue.bytes === 0 && length <= dataBytesMax && length <= this.sendWindow && this.session.canWriteNow()) {
      // The usual case, a small body in a quiet session: straight into this turn's write, no queue, no round.
      this.sendWindow -= length;
      const target = this.session.writer.data(this.id, length);
      chunk.copy(target.buffer, target.at);
      this.session.schedule();
      return true;
    }
    queue.push(chunk);
    this.session.addToRound(this);
    if (queue.bytes < this.session.limits.queueBytes) return true;
    this.#wantsDrain = true;
    return false;
  }

  end(trailers: Fields | null): void {
    if (this.isLocalDone || this.#isEnding) return;
    this.#isEnding = true;
    this.#trailers = trailers;
    if (this.id !== 0 && this.#queue.bytes === 0) this.#writeEnd();
    else this.session.addToRound(this);
    if (this.isRemoteDone && !this.#isEndHeld) this.isSilent = true;
  }

  abort(cause: Failure): void {
    if (this.isSilent) return;
    this.isSilent = true;
    this.#dropHeld();
    this.cut(this.abortCode(cause), cause);
  }

  /** The head of a stream that waited is on its way: what was written meanwhile may follow. */
  protected startSending(): void {
    if (this.#isEnding && this.#queue.bytes === 0) this.#writeEnd();
    else this.session.addToRound(this);
  }

  /** True when a DATA frame or END could be written now. */
  canSend(): boolean {
    if (this.isLocalDone || this.id === 0) return false;
    return this.#queue.bytes > 0 ? this.sendWindow > 0 : this.#isEnding;
  }

  /** Writes at most one DATA frame, and END when nothing is left. */
  writeFrame(writer: FrameWriter): void {
    const length = Math.min(this.#queue.bytes, this.sendWindow, dataBytesMax);
    if (length > 0) {
      this.sendWindow -= length;
      const target = writer.data(this.id, length);
      this.#queue.copyTo(target.buffer, target.at, length);
    }
    if (this.#queue.bytes === 0 && this.#isEnding) this.#writeEnd();
  }

  /** True when `write` returned false and most of the queue has gone since. */
  wantsDrain(): boolean {
    return this.#wantsDrain && this.#queue.bytes <= this.session.limits.queueBytes / 4;
  }

  drained(): void {
    this.#wantsDrain = false;
    if (!this.isSilent) this.events.onDrain();
  }

  addCredit(bytes: number): void {
    this.sendWindow += bytes;
    if (bytes === 0 || this.sendWindow > windowBytesMax) {
      throw new InnerViolation("window-overflow", `a WINDOW of ${bytes} makes it ${this.sendWindow}`);
    }
    if (this.canSend()) this.session.addToRound(this);
  }

  #writeEnd(): void {
    const text = this.#trailers === null ? "" : trailersText(this.#trailers);
    if (text === null || text.length > this.session.limits.headBytesMax) {
      this.cutMalformed("the trailers have bytes that cannot be sent, or too many");
      return;
    }
    this.isLocalDone = true;
    this.session.writeEnd(this.id, text);
    if (this.isRemoteDone) this.session.forget(this);
  }

  /** What our own side wanted to send cannot be sent: the peer sees a RESET, our side an abort, but not before it returns. */
  protected cutMalformed(reason: string): void {
    const cause = failure("UPE", 502, "inner_protocol_error", reason);
    this.cut(this.abortCode(cause), cause);
    queueMicrotask(() => this.fail(cause));
  }

  /** Ends our direction and everything that is queued with RESET. */
  protected cut(code: number, cause: Failure | null): void {
    const isOver = this.isLocalDone && this.isRemoteDone;
    this.isLocalDone = true;
    this.#queue.clear();
    if (this.id !== 0 && !isOver) this.session.writeReset(this.id, code, cause);
    if (this.id === 0 || this.isRemoteDone) this.session.forget(this);
  }

  // Receiving.

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.#isDelivering) this.#deliverHeld();
  }

  /** A DATA frame begins. Throws InnerViolation when the peer may not send it. */
  receiveStart(length: number): void {
    if (this.isRemoteDone) throw new InnerViolation("frame-after-end", `DATA after the end of stream ${this.id}`);
    this.#receiveWindow -= length;
    if (this.#receiveWindow < 0) {
      throw new InnerViolation("window-exceeded", `stream ${this.id} is ${-this.#receiveWindow} bytes over its window`);
    }
  }

  receiveSlice(slice: Buffer): void {
    if (this.isSilent) return;
    this.#receivedBytes += slice.length;
    if (this.announcedBytes >= 0 && this.#receivedBytes > this.announcedBytes) this.#failLength();
    else if (this.#isPaused || this.#held.bytes > 0) this.#hold(slice);
    else this.#deliver(slice);
  }

  receiveEnd(trailers: Fields | null): void {
    if (this.isRemoteDone) throw new InnerViolation("frame-after-end", `END after the end of stream ${this.id}`);
    this.isRemoteDone = true;
    if (!this.isSilent && this.announcedBytes >= 0 && this.#receivedBytes !== this.announcedBytes) {
      this.#failLength();
      return;
    }
    this.onRemoteEnd();
    if (this.isLocalDone) this.session.forget(this);
    if (this.isSilent) return;
    this.#endTrailers = trailers;
    this.#isEndHeld = true;
    if (!this.#isPaused && !this.#isDelivering) this.#deliverHeld();
  }

  /** The peer's RESET: both directions are over. It is answered unless our direction had ended. */
  receiveReset(cause: Failure | null): void {
    const isResponseComplete = this.isRemoteDone;
    this.isRemoteDone = true;
    if (!this.isLocalDone) this.session.writeReset(this.id, ResetCode.closed, null);
    this.isLocalDone = true;
    this.#queue.clear();
    this.session.forget(this);
    this.onPeerGone(isResponseComplete, this.resetFailure(cause));
  }

  /** The session is over. */
  lose(cause: Failure): void {
    const isResponseComplete = this.isRemoteDone;
    this.isRemoteDone = true;
    this.isLocalDone = true;
    this.#queue.clear();
    this.onPeerGone(isResponseComplete, cause);
  }

  /** The last event, unless the stream is silent already. */
  protected fail(cause: Failure): void {
    this.#dropHeld();
    if (this.isSilent) return;
    this.isSilent = true;
    this.events.onAbort(cause);
  }

  protected abstract abortCode(cause: Failure): number;
  protected abstract malformedFailure(reason: string): Failure;
  /** What a RESET from the peer means at this end; null is a RESET that carries no failure. */
  protected abstract resetFailure(cause: Failure | null): Failure;
  /** The peer's direction ended well. */
  protected abstract onRemoteEnd(): void;
  protected abstract onPeerGone(isRemoteComplete: boolean, cause: Failure): void;

  /** What the peer sent on this stream is well framed and yet no HTTP: this stream fails, the others do not. */
  receiveMalformed(reason: string, isEnd: boolean): void {
    if (isEnd) this.isRemoteDone = true;
    const cause = this.malformedFailure(reason);
    this.cut(this.abortCode(cause), cause);
    this.fail(cause);
  }

  #failLength(): void {
    this.receiveMalformed("its body is not as long as its head says", this.isRemoteDone);
  }

  #deliver(slice: Buffer): void {
    this.#isDelivering = true;
    this.events.onData(slice);
    this.#isDelivering = false;
    this.#consumed(slice.length);
    if (!this.#isPaused && (this.#held.bytes > 0 || this.#isEndHeld)) this.#deliverHeld();
  }

  #deliverHeld(): void {
    while (!this.#isPaused && !this.isSilent) {
      const chunk = this.#held.shift();
      if (chunk === null) break;
      this.session.heldBytes -= chunk.length;
      this.#isDelivering = true;
      this.events.onData(chunk);
      this.#isDelivering = false;
      this.#consumed(chunk.length);
    }
    if (this.#isEndHeld && !this.#isPaused && !this.isSilent) {
      this.#isEndHeld = false;
      // Both ends: nothing may be called after this event.
      if (this.#isEnding || this.isLocalDone) this.isSilent = true;
      this.events.onEnd(this.#endTrailers);
    }
  }

  #hold(slice: Buffer): void {
    const { session } = this;
    if (session.heldBytes + slice.length > session.limits.heldBytesMax) {
      const held = `${session.limits.heldBytesMax} bytes`;
      const cause = failure("OM", 503, "overload", `readers that stopped hold ${held} of ${session.describe} already`);
      this.cut(this.abortCode(cause), cause);
      this.fail(cause);
      return;
    }
    session.heldBytes += slice.length;
    this.#held.push(slice);
  }

  #dropHeld(): void {
    this.session.heldBytes -= this.#held.clear();
    this.#isEndHeld = false;
  }

  #consumed(bytes: number): void {
    this.#credit += bytes;
    const { limits } = this.session;
    const window = this.#isGrown ? limits.windowGrownBytes : limits.windowBytes;
    if (this.#credit < window / 2 || this.isRemoteDone || this.isSilent) return;
    let credit = this.#credit;
    if (!this.#isGrown && this.session.heldBytes < limits.heldBytesMax / 2) {
      this.#isGrown = true;
      credit += Math.max(0, limits.windowGrownBytes - limits.windowBytes);
    }
    this.#credit = 0;
    this.#receiveWindow += credit;
    this.session.writeWindow(this.id, credit);
  }
}
