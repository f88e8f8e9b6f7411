// The two ends of an exchange. A server stream is a request that came in, a client stream one that goes out;
// HTTP/1 connections, inner-protocol sessions and (later) HTTP/2 sessions implement them, proxy/route joins them.
//
// Flow control: `write` returns false when enough is buffered; the writer then stops until `onDrain`.
// `pause`/`resume` stop and restart the events of the other direction at their source.
// After `abort`, `onAbort` or both ends, nothing more is called and nothing more may be called.
// The end of a request is told (`onEnd`) only where there is a body to end, or after a 101.
// The end of a response is the end of the exchange, whatever of the request is still to come: the server codec throws that away
// without events, the client codec takes and drops it. (After a 101 each direction ends for itself.)
// Upgrade: after `respond({status: 101})`, both directions carry raw bytes until each is ended (half-close is kept).

import type { Failure } from "./failure.ts";
import type { Fields } from "./fields.ts";
import type { RequestHead, ResponseHead } from "./message.ts";

export interface BodyWriter {
  /** Takes ownership of the chunk. False: wait for the drain event. */
  write(chunk: Buffer): boolean;
  /** Clean end of this direction. */
  end(trailers: Fields | null): void;
  /** Cut: the other side must see a failure, never a clean end. Also stops the events of this stream. */
  abort(failure: Failure): void;
  /** Stop and restart the data events of the other direction. */
  pause(): void;
  resume(): void;
}

/** Who is at the other end of a downstream connection. */
export interface Peer {
  readonly address: string;
  /** SPIFFE id proved by mTLS, or null for plaintext. */
  readonly identity: string | null;
}

export interface ServerStream extends BodyWriter {
  readonly head: RequestHead;
  readonly peer: Peer;
  /** Set by whoever takes the request, synchronously in the accept callback. */
  events: ServerStreamEvents;
  /** 1xx other than 101; dropped for an HTTP/1.0 client. */
  informational(head: ResponseHead): void;
  /** Once. Status 101 only when `head.upgrade` is set. */
  respond(head: ResponseHead): void;
  /** Between proxies only: says that nothing was processed, so that the caller may try another endpoint. Instead of a response. */
  refuse?(failure: Failure): void;
}

export interface ServerStreamEvents {
  onData(chunk: Buffer): void;
  onEnd(trailers: Fields | null): void;
  /** The client went away or broke the protocol. */
  onAbort(failure: Failure): void;
  onDrain(): void;
}

export interface ClientStream extends BodyWriter {
  /** Set before the stream is opened. */
  events: ClientStreamEvents;
}

export interface ClientStreamEvents {
  onInformational(head: ResponseHead): void;
  onResponse(head: ResponseHead): void;
  onData(chunk: Buffer): void;
  onEnd(trailers: Fields | null): void;
  /** `failure.isUnprocessed` tells whether a replay is safe. */
  onAbort(failure: Failure): void;
  onDrain(): void;
}

/** Opens client streams towards one endpoint: a pool of HTTP/1 connections, or an inner-protocol session. */
export interface Upstream {
  /**
   * Sends the head now or once connected. Never throws: trouble arrives as `onAbort`, never before `open` has returned.
   * `hasBody` false: the request is complete, `end` must not be called.
   */
  open(request: OutgoingRequest, events: ClientStreamEvents): ClientStream;
}

export interface OutgoingRequest {
  readonly head: RequestHead;
  readonly hasBody: boolean;
  /** Where it goes in the peer's terms; the HTTP/1 pool ignores it. */
  readonly destination: { readonly service: string; readonly port: number; readonly version: string | null };
}
