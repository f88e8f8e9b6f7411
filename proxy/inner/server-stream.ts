// A request that came in over an inner session.
import { type Failure, failure } from "../http/failure.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { Peer, ServerStream, ServerStreamEvents } from "../http/stream.ts";
import { FrameType, ResetCode } from "./frames.ts";
import { type Destination, responseText } from "./head-text.ts";
import { InnerStream } from "./inner-stream.ts";
import type { InnerSession } from "./session.ts";

/** Until somebody takes the request. */
const nobody: ServerStreamEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onAbort: () => undefined,
  onDrain: () => undefined,
};

export interface InnerRequest {
  readonly id: number;
  readonly head: RequestHead;
  readonly destination: Destination;
  readonly peer: Peer;
  /** What the peer's HELLO lets us send. */
  readonly sendWindow: number;
}

export class InnerServerStream extends InnerStream implements ServerStream {
  override events: ServerStreamEvents = nobody;
  readonly head: RequestHead;
  readonly peer: Peer;
  /** Service, port and version that the caller asked for: to be checked against what this workload is. */
  readonly destination: Destination;
  /** Somebody has seen the request. */
  isTaken = false;
  #isResponded = false;

  constructor(session: InnerSession, request: InnerRequest) {
    super(session);
    this.id = request.id;
    this.head = request.head;
    this.destination = request.destination;
    this.peer = request.peer;
    this.sendWindow = request.sendWindow;
    this.announcedBytes = request.head.bodyLength;
  }

  informational(head: ResponseHead): void {
    if (this.isLocalDone || this.#isResponded || head.status === 101) return;
    this.#writeHead(FrameType.informational, head);
  }

  respond(head: ResponseHead): void {
    if (this.isLocalDone || this.#isResponded) return;
    this.#isResponded = true;
    if (head.status === 101) this.cutMalformed("an Upgrade cannot cross a multiplexed session");
    else this.#writeHead(FrameType.response, head);
  }

  /** Tells the caller that nothing of the request was processed, and why: it may try elsewhere. Only before `respond`. */
  refuse(cause: Failure): void {
    this.abort({ ...cause, isUnprocessed: true });
  }

  protected override abortCode(cause: Failure): number {
    return cause.isUnprocessed && !this.#isResponded ? ResetCode.refused : ResetCode.failed;
  }

  protected override malformedFailure(reason: string): Failure {
    const isUnprocessed = !this.isTaken;
    return { ...failure("DPE", 400, "inner_protocol_error", `the request is malformed: ${reason}`), isUnprocessed };
  }

  protected override resetFailure(cause: Failure | null): Failure {
    const reason = cause === null ? "the caller stopped sending" : `the caller gave up: ${cause.reason}`;
    return failure("DC", 0, "downstream_remote_disconnect", reason);
  }

  protected override onRemoteEnd(): void {
    // A request's end leaves the response as it is.
  }

  protected override onPeerGone(_isRequestComplete: boolean, cause: Failure): void {
    this.fail(cause);
  }

  #writeHead(type: number, head: ResponseHead): void {
    const text = responseText(head);
    if (text === null || text.length > this.session.limits.headBytesMax) {
      this.cutMalformed("the response's head has bytes that cannot be sent, or too many");
      return;
    }
    this.session.writer.text(type, this.id, text);
    this.session.schedule();
  }
}
