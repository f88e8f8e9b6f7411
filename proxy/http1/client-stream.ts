// One request on its way through a pool and the response to it: kept apart from its connection, because it may wait for one, and
// may be given another when the first was found dead.
import type { Failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { RequestHead } from "../http/message.ts";
import type { ClientStream, ClientStreamEvents, OutgoingRequest } from "../http/stream.ts";
import type { ClientConnection } from "./client-connection.ts";
import { overflow } from "./codec-failures.ts";

/** What a stream asks of its pool while it has no connection. */
export interface ClientStreamOwner {
  readonly heldBytesMax: number;
  forget(stream: Http1ClientStream): void;
}

/** Safe to send twice (RFC 9110 9.2.2). */
const idempotent = new Set(["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]);

export class Http1ClientStream implements ClientStream {
  events: ClientStreamEvents;
  readonly head: RequestHead;
  /** A message body follows the head; what follows an upgrade is no body. */
  readonly hasBody: boolean;
  connection: ClientConnection | null = null;
  /** Nothing of the request is still to be written. */
  isRequestEnded: boolean;
  isResponseBegun = false;
  isRaw = false;
  isRawEnded = false;
  isOver = false;
  isRetried = false;
  /** The response came early and the rest of the request is not wanted. */
  isRequestDropped = false;
  remaining: number;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #isEndHeld = false;
  #heldTrailers: Fields | null = null;
  #isPaused = false;
  readonly #owner: ClientStreamOwner;

  constructor(owner: ClientStreamOwner, request: OutgoingRequest, events: ClientStreamEvents) {
    this.#owner = owner;
    this.events = events;
    this.head = request.head;
    this.hasBody = request.hasBody && request.head.upgrade === null;
    this.isRequestEnded = !this.hasBody;
    this.remaining = request.head.bodyLength;
  }

  /** May be sent again on another connection after this one died unanswered. */
  get isReplayable(): boolean {
    return !this.hasBody && !this.isRetried && this.head.upgrade === null && idempotent.has(this.head.method);
  }

  /** The connection is ready and has the head: what was held goes out. */
  attach(connection: ClientConnection): void {
    this.connection = connection;
    if (this.#isPaused) connection.pause();
    if (this.#heldBytes > 0) {
      const held = this.#held;
      this.#held = [];
      this.#heldBytes = 0;
      let hasRoom = true;
      for (const chunk of held) hasRoom = connection.write(this, chunk);
      if (hasRoom && !this.#isEndHeld && !this.isOver) this.events.onDrain();
    }
    if (this.#isEndHeld && !this.isOver) connection.end(this, this.#heldTrailers);
  }

  write(chunk: Buffer): boolean {
    if (this.isOver || this.isRequestDropped || chunk.length === 0) return true;
    if (this.connection !== null) return this.connection.write(this, chunk);
    if (this.isRequestEnded || this.#isEndHeld) return true;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes > this.#owner.heldBytesMax) process.nextTick(failHeld, this);
    return false;
  }

  end(trailers: Fields | null): void {
    if (this.isOver || this.isRequestDropped) return;
    if (this.connection !== null) {
      this.connection.end(this, trailers);
    } else if (!this.isRequestEnded) {
      this.#isEndHeld = true;
      this.#heldTrailers = trailers;
    }
  }

  abort(_failure: Failure): void {
    if (this.isOver) return;
    this.isOver = true;
    if (this.connection !== null) this.connection.abort();
    else this.#owner.forget(this);
  }

  pause(): void {
    this.#isPaused = true;
    if (!this.isOver) this.connection?.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (!this.isOver) this.connection?.resume();
  }

  /** Tells the events that it is over, once. */
  fail(failure: Failure): void {
    if (this.isOver) return;
    this.isOver = true;
    this.connection = null;
    this.events.onAbort(failure);
  }

  failHeld(): void {
    if (this.isOver) return;
    this.#owner.forget(this);
    this.fail(overflow("more of a request's body was written before there was a connection than this proxy keeps"));
  }
}

function failHeld(stream: Http1ClientStream): void {
  stream.failHeld();
}
