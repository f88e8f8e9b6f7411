// The receiver's end of a session: takes the streams that a caller opens.
import type { Duplex } from "node:stream";
import { type Failure, failure } from "../http/failure.ts";
import { Fields } from "../http/fields.ts";
import type { RequestHead } from "../http/message.ts";
import type { Peer } from "../http/stream.ts";
import { type Clock, systemClock } from "./clock.ts";
import { FrameType, InnerViolation, ResetCode } from "./frames.ts";
import { decodeRequest } from "./head-text.ts";
import type { InnerStream } from "./inner-stream.ts";
import { defaultInnerLimits, type InnerLimits } from "./limits.ts";
import { InnerServerStream } from "./server-stream.ts";
import { InnerSession, type SessionLoss } from "./session.ts";

export interface ServeInnerOptions {
  readonly peer: Peer;
  /** Takes the request and sets `stream.events` before it returns. */
  onRequest(stream: InnerServerStream): void;
  /** Once, when the connection is closed: its streams have been aborted, and what could be sent was sent. */
  onClose(reason: string): void;
  readonly limits?: InnerLimits;
  readonly clock?: Clock;
}

export interface InnerServing {
  readonly openStreams: number;
  /** Takes no more streams and closes when those that are open are over. The caller retries what was not taken. */
  drain(): void;
  /** Aborts what is open. */
  close(): void;
}

/** Serves a connection whose handshake is over and whose peer is known. */
export function serveInner(socket: Duplex, options: ServeInnerOptions): InnerServing {
  const session = new InnerServerSession(socket, options);
  return {
    get openStreams() {
      return session.streams.size;
    },
    drain: () => session.drain(),
    close: () => session.lose({ reason: "this proxy closed the connection", failure: null }),
  };
}

const noHead: RequestHead = {
  method: "GET",
  target: "/",
  authority: "",
  scheme: "http",
  fields: new Fields(),
  bodyLength: -1,
  upgrade: null,
  expectsContinue: false,
  protocol: "HTTP/1.1",
};

class InnerServerSession extends InnerSession {
  readonly #options: ServeInnerOptions;
  /** The last stream that is taken, once this side drains. */
  #lastTaken = -1;

  constructor(socket: Duplex, options: ServeInnerOptions) {
    const { peer, limits = defaultInnerLimits, clock = systemClock } = options;
    super(socket, { limits, clock, describe: peer.identity ?? peer.address });
    this.#options = options;
    if (socket.closed) setImmediate(() => this.#closed());
    else socket.once("close", () => this.#closed());
    this.begin();
  }

  drain(): void {
    if (this.#lastTaken >= 0 || this.loss !== null) return;
    this.#lastTaken = this.lastStream;
    this.writeGoaway({ lastStream: this.lastStream, rule: "drain", text: "" });
    this.onIdle();
  }

  #closed(): void {
    this.lose({ reason: "the connection was closed", failure: null });
    this.#options.onClose(this.loss?.reason ?? "");
  }

  protected override onHello(): void {
    // The window was kept; streams follow.
  }

  protected override onHead(type: number, id: number, isEnd: boolean, payload: Buffer): void {
    if (type !== FrameType.request) throw new InnerViolation("wrong-direction", "a response came from the caller");
    if (id !== this.lastStream + 1) {
      throw new InnerViolation("stream-id", `stream ${id} was opened after stream ${this.lastStream}`);
    }
    this.lastStream = id;
    if (this.isIgnored(id)) return;
    if (this.streams.size >= this.limits.streamsMax) {
      throw new InnerViolation("too-many-streams", `more than ${this.limits.streamsMax} streams are open`);
    }
    const { peer } = this.#options;
    const decoded = decodeRequest(payload, this.limits.fieldsMax);
    const { head, destination } =
      decoded.kind === "head" ? decoded.value : { head: noHead, destination: { service: "", port: 0, version: null } };
    const stream = new InnerServerStream(this, { id, head, destination, peer, sendWindow: this.peerWindow });
    this.streams.set(id, stream);
    this.watch.watch();
    if (decoded.kind === "malformed") {
      stream.receiveMalformed(decoded.reason, isEnd);
      return;
    }
    if (isEnd && head.bodyLength > 0) {
      stream.receiveMalformed("its body is not as long as its head says", isEnd);
      return;
    }
    stream.isTaken = true;
    this.#options.onRequest(stream);
    if (isEnd) stream.receiveEnd(null);
  }

  protected override onDrainRequest(): void {
    // A caller that drains opens no more streams; it closes the connection itself.
  }

  protected override checkReset(code: number): void {
    if (code === ResetCode.refused || code === ResetCode.failed) {
      throw new InnerViolation("wrong-direction", "the caller sent a reset code of the receiver's");
    }
  }

  protected override checkBody(): void {
    // A request's body may follow its head at once.
  }

  protected override isIgnored(id: number): boolean {
    return this.#lastTaken >= 0 && id > this.#lastTaken && id <= this.lastStream;
  }

  protected override onIdle(): void {
    if (this.#lastTaken >= 0 && this.streams.size === 0) this.finish({ reason: "it was drained", failure: null });
  }

  protected override onLost(): void {
    // The owner hears of it when the socket is closed: a process that exits earlier would cut our last frames.
  }

  protected override lossFailure(_stream: InnerStream, loss: SessionLoss): Failure {
    return loss.failure ?? failure("DC", 0, "downstream_remote_disconnect", `the caller is gone: ${loss.reason}`);
  }
}
