// Requests towards one peer: keeps one session, opened when it is first needed and again after it was lost.
import type { Duplex } from "node:stream";
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import type { ClientStream, ClientStreamEvents, OutgoingRequest, Upstream } from "../http/stream.ts";
import { InnerClientSession } from "./client-session.ts";
import { type Clock, systemClock } from "./clock.ts";
import { defaultInnerLimits, type InnerLimits } from "./limits.ts";

export interface InnerUpstreamOptions {
  /**
   * A new connection to the peer, which may still be connecting: a TLSSocket is used from `secureConnect` on. An error
   * that has a `failure` (see FailureError) fails the waiting requests with it.
   */
  connect(): Duplex;
  /** Who the peer is, for people: "payment-v2 (172.30.0.5)". */
  readonly describe: string;
  readonly limits?: InnerLimits;
  readonly clock?: Clock;
}

export class InnerUpstream implements Upstream {
  readonly #options: InnerUpstreamOptions;
  #session: InnerClientSession | null = null;
  /** All that are open: the current one, and those that only finish what they have. */
  readonly #sessions = new Set<InnerClientSession>();
  #isClosed = false;

  constructor(options: InnerUpstreamOptions) {
    this.#options = options;
  }

  /** Requests that are not over. */
  get openStreams(): number {
    let count = 0;
    for (const session of this.#sessions) count += session.openStreams;
    return count;
  }

  open(request: OutgoingRequest, events: ClientStreamEvents): ClientStream {
    const session = this.#session?.isUsable === true ? this.#session : this.#connect();
    if ("flag" in session) return failedStream(session, events);
    return session.open(request, events);
  }

  /** Fails every stream at once with this: the container is known to be gone (Docker's die event). */
  peerGone(cause: Failure): void {
    for (const session of [...this.#sessions]) session.lose({ reason: cause.reason, failure: cause });
  }

  /** Takes no more requests; connections close when those that are open are over. */
  drain(): void {
    this.#isClosed = true;
    for (const session of [...this.#sessions]) session.drain();
  }

  close(): void {
    this.#isClosed = true;
    const reason = `the connection to ${this.#options.describe} was closed by this proxy`;
    this.peerGone(failure("LR", 503, "upstream_reset_before_response_started{local_reset}", reason));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #connect(): InnerClientSession | Failure {
    const { describe, limits = defaultInnerLimits, clock = systemClock } = this.#options;
    const detail = "upstream_reset_before_response_started{connection_failure}";
    if (this.#isClosed) {
      return unprocessed(failure("UF", 503, detail, `${describe} takes no more requests`));
    }
    let socket: Duplex;
    try {
      socket = this.#options.connect();
    } catch (error) {
      if (error instanceof Error && "failure" in error) return error.failure as Failure;
      return unprocessed(failure("UF", 503, detail, `cannot connect to ${describe}: ${error}`));
    }
    const previous = this.#session;
    const session = new InnerClientSession(socket, { describe, limits, clock }, () => {
      if (this.#session === session) this.#session = null;
    });
    socket.once("close", () => this.#sessions.delete(session));
    this.#session = session;
    this.#sessions.add(session);
    previous?.drain();
    return session;
  }
}

/** A stream that fails once `open` has returned. */
function failedStream(cause: Failure, events: ClientStreamEvents): ClientStream {
  let isSilent = false;
  queueMicrotask(() => {
    if (!isSilent) events.onAbort(cause);
  });
  return {
    events,
    write: () => true,
    end: () => undefined,
    pause: () => undefined,
    resume: () => undefined,
    abort: () => {
      isSilent = true;
    },
  };
}
