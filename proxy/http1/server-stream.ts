// One request of a server connection and the response to it: the writing half, framed as the client can read it.
import type { Failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { Peer, ServerStream, ServerStreamEvents } from "../http/stream.ts";
import { informationalText, type OutgoingFraming, responseText } from "./head-text.ts";
import type { ParsedRequest } from "./request-parser.ts";
import type { SocketOutput } from "./socket-output.ts";

/** What a stream asks of its connection. */
export interface ServerStreamOwner {
  readonly output: SocketOutput;
  readonly peer: Peer;
  readonly isDraining: boolean;
  pauseRequest(): void;
  resumeRequest(): void;
  /** 100 Continue went out: the body may be waited for. */
  onContinued(): void;
  onUpgraded(stream: Http1ServerStream): void;
  onResponseEnd(stream: Http1ServerStream): void;
  /** The response cannot be completed: the client must see a cut. */
  onResponseCut(stream: Http1ServerStream): void;
}

const silent: ServerStreamEvents = { onData: ignore, onEnd: ignore, onAbort: ignore, onDrain: ignore };

function ignore(): void {
  // Nobody took the request.
}

export class Http1ServerStream implements ServerStream {
  events: ServerStreamEvents = silent;
  readonly request: ParsedRequest;
  /** Every byte of the request's body was read. */
  isRequestEnded: boolean;
  isRequestBegun = false;
  isContinued = false;
  isResponseBegun = false;
  isResponseEnded = false;
  isOver = false;
  framing: OutgoingFraming = "none";
  /** The connection ends after this response. */
  isLast: boolean;
  #remaining = 0;
  readonly #owner: ServerStreamOwner;

  constructor(owner: ServerStreamOwner, request: ParsedRequest) {
    this.#owner = owner;
    this.request = request;
    this.isRequestEnded = request.head.bodyLength === 0;
    this.isLast = !request.isPersistent;
  }

  get head(): RequestHead {
    return this.request.head;
  }

  get peer(): Peer {
    return this.#owner.peer;
  }

  informational(head: ResponseHead): void {
    if (this.isOver || this.isResponseBegun || this.request.isHttp10 || head.status === 101) return;
    if (head.status === 100) {
      this.isContinued = true;
      this.#owner.onContinued();
    }
    this.#owner.output.writeText(informationalText(head));
    this.#owner.output.flush();
  }

  respond(head: ResponseHead): void {
    if (this.isOver || this.isResponseBegun) return;
    this.isResponseBegun = true;
    this.framing = this.#framingOf(head);
    if (this.framing === "close" || this.#owner.isDraining || this.#isBodyUncertain(head.status)) this.isLast = true;
    this.#remaining = this.framing === "length" ? head.bodyLength : 0;
    const kept = this.request.isHttp10 ? "keep-alive" : "";
    this.#owner.output.writeText(
      responseText(head, {
        framing: this.framing,
        connection: this.isLast ? "close" : kept,
        upgrade: this.head.upgrade,
      }),
    );
    if (this.framing === "raw") {
      this.#owner.output.flush();
      this.#owner.onUpgraded(this);
    }
  }

  write(chunk: Buffer): boolean {
    if (this.isOver || !this.isResponseBegun || this.isResponseEnded || chunk.length === 0) return true;
    if (this.framing === "chunked") return this.#owner.output.writeChunk(chunk);
    if (this.framing === "none") return true;
    if (this.framing === "length") {
      this.#remaining -= chunk.length;
      if (this.#remaining < 0) {
        this.#cut();
        return true;
      }
    }
    return this.#owner.output.writeBytes(chunk);
  }

  end(trailers: Fields | null): void {
    if (this.isOver || !this.isResponseBegun || this.isResponseEnded) return;
    if (this.framing === "length" && this.#remaining > 0) {
      this.#cut();
      return;
    }
    this.isResponseEnded = true;
    if (this.framing === "chunked") this.#owner.output.endChunks(this.request.takesTrailers ? trailers : null);
    this.#owner.output.flush();
    this.#owner.onResponseEnd(this);
  }

  abort(_failure: Failure): void {
    if (!this.isOver) this.#cut();
  }

  pause(): void {
    if (!this.#isRequestOver()) this.#owner.pauseRequest();
  }

  resume(): void {
    if (!this.#isRequestOver()) this.#owner.resumeRequest();
  }

  /** The response's end is the exchange's: what is left of the request is the connection's to throw away. */
  #isRequestOver(): boolean {
    return this.isOver || (this.isResponseEnded && this.framing !== "raw");
  }

  /** A length that was promised and not kept may not look like an end. */
  #cut(): void {
    this.isOver = true;
    this.#owner.onResponseCut(this);
  }

  #framingOf(head: ResponseHead): OutgoingFraming {
    const { status, bodyLength } = head;
    if (status === 101) return "raw";
    // RFC 9112 6.3: none of these has a body, whatever the upstream's protocol said.
    if (this.head.method === "HEAD" || status === 204 || status === 304) return "none";
    if (bodyLength >= 0) return "length";
    return this.request.isHttp10 ? "close" : "chunked";
  }

  /**
   * A final answer while the body is still to come. A client that waits for 100 may now send the body or the next request,
   * and nobody could tell which is which; one that gets an error is likely to stop in the middle. Both connections end.
   */
  #isBodyUncertain(status: number): boolean {
    if (this.isRequestEnded) return false;
    return status >= 400 || (this.head.expectsContinue && !this.isContinued && !this.isRequestBegun);
  }
}
