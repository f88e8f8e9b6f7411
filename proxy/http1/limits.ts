// The named maxima and times of an HTTP/1 connection. Sizes are bytes on the wire, times are milliseconds.

const KiB = 1024;

export interface Http1Limits {
  /** Start line and fields of one head. Envoy's default is the same 60 KiB. Beyond: 431. */
  readonly headBytesMax: number;
  /** Fields in one head or trailer section. Beyond: 431. */
  readonly fieldsMax: number;
  /** Beyond: 501. */
  readonly methodBytesMax: number;
  /** RFC 9112 3 asks for at least 8000 octets. Beyond: 414. */
  readonly targetBytesMax: number;
  /** Empty lines before a request line (RFC 9112 2.2 asks to skip at least one). */
  readonly leadingLinesMax: number;
  /** Chunk extensions of one whole message; they are dropped, so nobody misses them (CVE-2024-22019). */
  readonly chunkExtensionBytesMax: number;
  readonly trailerBytesMax: number;
  /** Bytes that a connection keeps while its reader is paused, or while a pipelined request waits for its turn. */
  readonly heldBytesMax: number;
  /** `write` returns false from here on; never below the socket's own mark, whose drain event ends the wait. */
  readonly highWaterBytes: number;
  /** Bytes of a request body that are read and thrown away after its response ended; beyond it the connection ends. */
  readonly discardBytesMax: number;
  /** From the first byte of a head to its last. */
  readonly headMs: number;
  /** Between two reads of a request body, and between two moments at which a client takes some of its response. */
  readonly bodyIdleMs: number;
  /** Between accept and the first byte, and between two requests. */
  readonly keepAliveMs: number;
  /** How long a connection that said its last is kept open for a peer that still sends (RFC 9112 9.6). */
  readonly lingerMs: number;
  /**
   * A client that closed its sending side may still read (half-close) or may be gone; TCP does not tell which. After the
   * close a request is cancelled when no byte of its response comes for this long.
   */
  readonly halfCloseMs: number;
}

export const defaultLimits: Http1Limits = {
  headBytesMax: 60 * KiB,
  fieldsMax: 100,
  methodBytesMax: 32,
  targetBytesMax: 16 * KiB,
  leadingLinesMax: 2,
  chunkExtensionBytesMax: 4 * KiB,
  trailerBytesMax: 8 * KiB,
  heldBytesMax: 256 * KiB,
  highWaterBytes: 64 * KiB,
  discardBytesMax: 1024 * KiB,
  headMs: 10_000,
  bodyIdleMs: 60_000,
  keepAliveMs: 60_000,
  lingerMs: 2_000,
  halfCloseMs: 2_000,
};
