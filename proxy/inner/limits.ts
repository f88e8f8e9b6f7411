// The named maxima of an inner session. docs/inner-protocol.md explains each; both ends must agree on those marked (protocol).

const KiB = 1024;
const MiB = 1024 * KiB;

export interface InnerLimits {
  /** Streams of one session that are open at once (protocol). */
  readonly streamsMax: number;
  /** Bytes that a peer may send on a stream before it gets more credit; announced in HELLO. */
  readonly windowBytes: number;
  /** What a stream's window grows to once its reader has shown that it reads. */
  readonly windowGrownBytes: number;
  /** Bytes that a session holds for readers that stopped; above it the stream that brings more is reset with OM. */
  readonly heldBytesMax: number;
  /** Payload of REQUEST, RESPONSE, INFORMATIONAL and END (protocol). Above what the HTTP/1 codec lets in. */
  readonly headBytesMax: number;
  /** Fields in one head or trailer section. */
  readonly fieldsMax: number;
  /** DATA is collected into a turn's write up to this many bytes; the rest waits for the next turn. */
  readonly flushBytes: number;
  /** A stream's unsent body above this makes `write` return false. */
  readonly queueBytes: number;
  /** Frames other than DATA that wait for a peer that does not read; above it the session is given up. */
  readonly unsentBytesMax: number;
  /** With open streams and this much silence the peer is pinged. */
  readonly silenceMs: number;
  /** No byte within this after a ping: the peer is dead. */
  readonly pongMs: number;
  /** A session that carried nothing for this long is pinged before it gets a request. */
  readonly staleMs: number;
  /** From the start of connecting to the peer's HELLO. */
  readonly helloMs: number;
  /** How long a socket may take to flush its last bytes before it is destroyed. */
  readonly lingerMs: number;
}

export const defaultInnerLimits: InnerLimits = {
  streamsMax: 1024,
  windowBytes: 64 * KiB,
  windowGrownBytes: 256 * KiB,
  heldBytesMax: 32 * MiB,
  headBytesMax: 128 * KiB,
  fieldsMax: 512,
  flushBytes: 64 * KiB,
  queueBytes: 64 * KiB,
  unsentBytesMax: 4 * MiB,
  silenceMs: 500,
  pongMs: 1000,
  staleMs: 2000,
  helloMs: 10_000,
  lingerMs: 1000,
};
