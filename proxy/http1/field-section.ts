// Reads a block of header lines: names and values for the next hop, and apart from them what concerns this hop alone.
import { byteAt, COLON, CR, isBlank, isToken, isTokenText, isValue, LF, trimBlanks } from "./bytes.ts";
import { type Rejection, rejections } from "./rejection.ts";

/** What one block said. The hop's own fields are here and not in `list`; a repeated one counts, and its values are joined by ",". */
export class FieldSection {
  list: string[] = [];
  host: string | null = null;
  hostCount = 0;
  contentLength: string | null = null;
  contentLengthCount = 0;
  transferEncoding: string | null = null;
  transferEncodingCount = 0;
  connection: string | null = null;
  upgrade: string | null = null;
  keepAlive: string | null = null;
  te: string | null = null;
  expect: string | null = null;
  count = 0;

  /** Takes a field of this hop; false: it is not one. `Expect` counts as one, since the exchange answers it. */
  take(name: string, value: string): boolean {
    switch (name.length) {
      case 2:
        if (name.toLowerCase() !== "te") return false;
        this.te = join(this.te, value);
        return true;
      case 4:
        if (name.toLowerCase() !== "host") return false;
        this.host = value;
        this.hostCount++;
        return true;
      case 6:
        if (name.toLowerCase() !== "expect") return false;
        this.expect = join(this.expect, value);
        return true;
      case 7:
        if (name.toLowerCase() !== "upgrade") return false;
        this.upgrade = join(this.upgrade, value);
        return true;
      case 10:
        return this.#takeConnection(name.toLowerCase(), value);
      case 14:
        return this.#takeContentLength(name.toLowerCase(), value);
      case 16:
        return name.toLowerCase() === "proxy-connection";
      case 17:
        if (name.toLowerCase() !== "transfer-encoding") return false;
        this.transferEncoding = value;
        this.transferEncodingCount++;
        return true;
      default:
        return false;
    }
  }

  #takeContentLength(lower: string, value: string): boolean {
    // HTTP2-Settings belongs to the h2c upgrade, which is never forwarded: a way to smuggle past HTTP/1's rules.
    if (lower === "http2-settings") return true;
    if (lower !== "content-length") return false;
    this.contentLength = value;
    this.contentLengthCount++;
    return true;
  }

  #takeConnection(lower: string, value: string): boolean {
    if (lower === "connection") this.connection = join(this.connection, value);
    else if (lower === "keep-alive") this.keepAlive = join(this.keepAlive, value);
    else return false;
    return true;
  }
}

function join(before: string | null, value: string): string {
  return before === null ? value : `${before},${value}`;
}

/** Where the lines stand: `text` is bytes[start, end) in latin1, lines run from `from` to `end`, each with its CRLF. */
export interface FieldLines {
  readonly bytes: Buffer;
  readonly text: string;
  readonly start: number;
  readonly from: number;
  readonly end: number;
}

/** Reads every line into `section`. `isResponse`: blanks before a colon are dropped (RFC 9112 5.1 lets a proxy), else refused. */
export function readFields(
  lines: FieldLines,
  section: FieldSection,
  rules: { readonly fieldsMax: number; readonly isResponse: boolean },
): Rejection | null {
  const { bytes, text, start, end } = lines;
  let at = lines.from;
  while (at < end) {
    const nameStart = at;
    while (isToken(byteAt(bytes, at))) at++;
    const nameEnd = at;
    if (byteAt(bytes, at) !== COLON || nameEnd === nameStart) {
      while (rules.isResponse && nameEnd > nameStart && isBlank(byteAt(bytes, at))) at++;
      if (byteAt(bytes, at) !== COLON || nameEnd === nameStart) return nameRejection(bytes, nameStart, nameEnd);
    }
    at++;
    while (isBlank(byteAt(bytes, at))) at++;
    const valueStart = at;
    while (isValue(byteAt(bytes, at))) at++;
    if (byteAt(bytes, at) !== CR || byteAt(bytes, at + 1) !== LF) return lineRejection(bytes, at);
    let valueEnd = at;
    while (valueEnd > valueStart && isBlank(byteAt(bytes, valueEnd - 1))) valueEnd--;
    at += 2;
    if (++section.count > rules.fieldsMax) return rejections.tooManyFields;
    const name = text.slice(nameStart - start, nameEnd - start);
    const value = text.slice(valueStart - start, valueEnd - start);
    if (!section.take(name, value)) section.list.push(name, value);
  }
  return null;
}

function nameRejection(bytes: Buffer, nameStart: number, nameEnd: number): Rejection {
  const byte = byteAt(bytes, nameEnd);
  if (isBlank(byte)) return nameEnd === nameStart ? rejections.fold : rejections.blankBeforeColon;
  return byte === CR || byte === LF ? lineRejection(bytes, nameEnd, rejections.fieldName) : rejections.fieldName;
}

/** Why the byte at `at`, where a line should have gone on or ended, is wrong. */
export function lineRejection(bytes: Buffer, at: number, other: Rejection = rejections.fieldValue): Rejection {
  const byte = byteAt(bytes, at);
  if (byte === LF) return rejections.bareLf;
  if (byte === CR && byteAt(bytes, at + 1) !== LF) return rejections.bareCr;
  return other;
}

/** What Connection asked for. */
export interface ConnectionOptions {
  readonly isClose: boolean;
  readonly isKeepAlive: boolean;
  readonly isUpgrade: boolean;
}

const noOptions: ConnectionOptions = { isClose: false, isKeepAlive: false, isUpgrade: false };
const closeOption: ConnectionOptions = { isClose: true, isKeepAlive: false, isUpgrade: false };
const keepAliveOption: ConnectionOptions = { isClose: false, isKeepAlive: true, isUpgrade: false };

/** Never to be stripped by a client's or server's wish: routing, identity and framing rest on them. Compared in lower case. */
const protectedNames = new Set([
  "host",
  "content-length",
  "content-type",
  "content-encoding",
  "content-range",
  "authorization",
  "proxy-authorization",
  "proxy-authenticate",
  "www-authenticate",
  "cookie",
  "set-cookie",
  "location",
  "cache-control",
  "expect",
  "forwarded",
  "via",
  "origin",
  "range",
  "vary",
  "x-request-id",
  "x-real-ip",
  "traceparent",
  "tracestate",
]);
const protectedPrefixes = ["x-forwarded-", "x-envoy-", "x-devmesh-", "x-b3-"];

/** Reads Connection and removes every field that it names (RFC 9110 7.6.1). */
export function readConnection(section: FieldSection): ConnectionOptions | Rejection {
  if (section.connection === null) return noOptions;
  const lower = section.connection.toLowerCase();
  if (lower === "keep-alive") return keepAliveOption;
  if (lower === "close") return closeOption;
  let isClose = false;
  let isKeepAlive = false;
  let isUpgrade = false;
  for (const member of lower.split(",")) {
    const option = trimBlanks(member);
    if (option === "") continue;
    if (!isTokenText(option)) return rejections.connection;
    if (option === "close") isClose = true;
    else if (option === "keep-alive") isKeepAlive = true;
    else if (option === "upgrade") isUpgrade = true;
    else if (isProtected(option)) return rejections.connectionNames;
    else removeNamed(section.list, option);
  }
  return { isClose, isKeepAlive, isUpgrade };
}

function isProtected(option: string): boolean {
  return protectedNames.has(option) || protectedPrefixes.some((prefix) => option.startsWith(prefix));
}

export function removeNamed(list: string[], lower: string): void {
  for (let i = list.length - 2; i >= 0; i -= 2) if (list[i]?.toLowerCase() === lower) list.splice(i, 2);
}
