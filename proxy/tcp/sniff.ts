// Tells a protocol by the first bytes of a connection, without consuming anything that is not handed back.
import type { Duplex } from "node:stream";

export type SniffedProtocol = "http1" | "http2-preface" | "tls" | "unknown";

export interface Sniffed {
  /**
   * `timeout`: too little was said to tell. `closed`: the connection is gone. A peer that ended its side before the
   * first bytes told anything is `unknown`: it may still want to read.
   */
  readonly kind: SniffedProtocol | "timeout" | "closed";
  /** Everything read so far, also when nothing was recognised. */
  readonly bytes: Buffer;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
/** Longest method that is taken for one (IANA's longest is 17: UPDATEREDIRECTREF). */
const methodBytesMax = 23;
const connect = "CONNECT";

/**
 * Reads until the protocol is known, at most `timeoutMs`, and leaves the stream paused. The caller keeps an error listener on
 * the stream and passes `bytes` on before it reads further.
 */
export function sniff(stream: Duplex, options: { readonly timeoutMs: number }): Promise<Sniffed> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0);
    const settle = (kind: Sniffed["kind"]): void => {
      clearTimeout(timer);
      stream.off("data", onData);
      stream.off("end", onEnd);
      stream.off("close", onClose);
      stream.off("error", onClose);
      stream.pause();
      resolve({ kind, bytes });
    };
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const protocol = recognise(bytes);
      if (protocol !== null) settle(protocol);
    };
    const onEnd = (): void => settle("unknown");
    const onClose = (): void => settle("closed");
    const timer = setTimeout(() => settle("timeout"), options.timeoutMs);
    if (stream.destroyed) {
      settle("closed");
      return;
    }
    if (stream.readableEnded) {
      settle("unknown");
      return;
    }
    stream.on("data", onData).on("end", onEnd).on("close", onClose).on("error", onClose);
    stream.resume();
  });
}

/** Null: more bytes are needed, never beyond 32. */
export function recognise(bytes: Buffer): SniffedProtocol | null {
  if (bytes.length === 0) return null;
  if (bytes[0] === 0x16) return recogniseTls(bytes);
  const common = Math.min(bytes.length, preface.length);
  if (bytes.subarray(0, common).equals(preface.subarray(0, common))) {
    // "PRI" could still become a method of HTTP/1 that nobody has.
    return common === preface.length ? "http2-preface" : null;
  }
  return recogniseHttp1(bytes);
}

/** A handshake record of version 3.x whose first message is a ClientHello (RFC 8446 5.1, 4). */
function recogniseTls(bytes: Buffer): "tls" | "unknown" | null {
  const [, major, , , , message] = bytes;
  if (major !== undefined && major !== 3) return "unknown";
  if (message === undefined) return null;
  return message === 1 ? "tls" : "unknown";
}

/**
 * A method in capitals, a space, and the start of a request target (RFC 9112 3.2). Lower-case words followed by a space are
 * commands of other protocols (memcached's "get key"); so is a word that no target follows (IRC's "NICK").
 */
function recogniseHttp1(bytes: Buffer): "http1" | "unknown" | null {
  const text = bytes.toString("latin1", 0, methodBytesMax + 1 + "https://".length);
  const match = /^([A-Z][A-Z_-]*)( ?)(.*)$/s.exec(text);
  if (match === null) return "unknown";
  const [, method = "", space, rest = ""] = match;
  if (method.length > methodBytesMax) return "unknown";
  if (space === "") return rest === "" ? null : "unknown";
  if (rest === "") return null;
  if (method === connect) return /^[\w[]/.test(rest) ? "http1" : "unknown";
  if (rest.startsWith("/") || rest.startsWith("*")) return "http1";
  const isAbsolute = ["http://", "https://"].some((scheme) => rest.toLowerCase().startsWith(scheme));
  if (isAbsolute) return "http1";
  const couldBeAbsolute = ["http://", "https://"].some((scheme) => scheme.startsWith(rest.toLowerCase()));
  return couldBeAbsolute ? null : "unknown";
}
