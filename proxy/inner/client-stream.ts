// A request that goes out over an inner session.
import { type Failure, failure } from "../http/failure.ts";
import type { ResponseHead } from "../http/message.ts";
import type { ClientStream, ClientStreamEvents, OutgoingRequest } from "../http/stream.ts";
import { ResetCode } from "./frames.ts";
import { InnerStream } from "./inner-stream.ts";
import type { InnerSession } from "./session.ts";

export class InnerClientStream extends InnerStream implements ClientStream {
  override events: ClientStreamEvents;
  readonly request: OutgoingRequest;
  hasResponse = false;
  /** The session's count of writes when the head was assembled: it has left once the count is higher. */
  headFlush = -1;

  constructor(session: InnerSession, request: OutgoingRequest, events: ClientStreamEvents) {
    super(session);
    this.request = request;
    this.events = events;
  }

  /** False: it is certain that the peer has seen nothing of the request. */
  get isHeadSent(): boolean {
    return this.headFlush >= 0 && this.session.flushes > this.headFlush;
  }

  /** The session has assembled the head. */
  start(): void {
    if (!this.request.hasBody) this.end(null);
    else this.startSending();
  }

  receiveInformational(head: ResponseHead): void {
    if (!this.isSilent) this.events.onInformational(head);
  }

  receiveResponse(head: ResponseHead): void {
    this.hasResponse = true;
    this.announcedBytes = head.bodyLength;
    if (!this.isSilent) this.events.onResponse(head);
  }

  /** Ends a stream that the session could not open; the events never come before `open` has returned. */
  failLater(cause: Failure): void {
    this.isLocalDone = true;
    queueMicrotask(() => this.fail(cause));
  }

  protected override abortCode(): number {
    return ResetCode.cancel;
  }

  protected override malformedFailure(reason: string): Failure {
    return failure("UPE", 502, "inner_protocol_error", `${this.session.describe} sent a malformed response: ${reason}`);
  }

  protected override resetFailure(cause: Failure | null): Failure {
    if (cause === null) return failure("UR", 503, "upstream_reset", `${this.session.describe} reset the request`);
    return this.hasResponse && cause.isUnprocessed ? { ...cause, isUnprocessed: false } : cause;
  }

  /** The end of a response ends the exchange: what is left of the request's body interests nobody. */
  protected override onRemoteEnd(): void {
    if (!this.isLocalDone) this.cut(ResetCode.closed, null);
  }

  protected override onPeerGone(isResponseComplete: boolean, cause: Failure): void {
    if (!isResponseComplete) this.fail(cause);
  }
}
