// One response head, from bytes to a ResponseHead and how its body is framed. What breaks a rule is a bad upstream (502).
import { Fields } from "../http/fields.ts";
import type { ResponseHead } from "../http/message.ts";
import { byteAt, CR, isDigit, isTokenText, isValue, LF, SP, trimBlanks } from "./bytes.ts";
import { type ConnectionOptions, FieldSection, lineRejection, readConnection, readFields } from "./field-section.ts";
import { bodyLengthOf, chunked, lengthOf, unsaid } from "./framing.ts";
import type { Http1Limits } from "./limits.ts";
import { Rejection, rejections } from "./rejection.ts";

export interface ResponseRules {
  readonly limits: Http1Limits;
  readonly isHead: boolean;
  /** What the request asked to upgrade to, or null: then a 101 is refused. */
  readonly upgrade: string | null;
}

export type ResponseFraming = "none" | "length" | "chunked" | "close" | "raw";

export interface ParsedResponse {
  readonly head: ResponseHead;
  readonly framing: ResponseFraming;
  /** The server keeps the connection after this response. */
  readonly isPersistent: boolean;
  /** What `Keep-Alive: timeout` says, in milliseconds; -1 when it says nothing. */
  readonly keepAliveMs: number;
}

/** `bytes` from `start` to `end`: the status line and the field lines, each with its CRLF, without the empty line. */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  rules: ResponseRules,
): ParsedResponse | Rejection {
  const text = bytes.toString("latin1", start, end);
  const line = parseStatusLine(bytes, start, text);
  if (line instanceof Rejection) return line;
  const section = new FieldSection();
  const lines = { bytes, text, start, from: line.next, end };
  const bad = readFields(lines, section, { fieldsMax: rules.limits.fieldsMax, isResponse: true });
  return bad ?? responseOf(line, section, rules);
}

interface StatusLine {
  readonly status: number;
  readonly reason: string;
  readonly isHttp10: boolean;
  readonly next: number;
}

/** `text` is `bytes` from `start` on, in latin1, at least to the end of the line. */
export function parseStatusLine(bytes: Buffer, start: number, text: string): StatusLine | Rejection {
  const minor = byteAt(bytes, start + 7) - 48;
  if (!text.startsWith("HTTP/1.") || !(minor >= 0 && minor <= 9) || byteAt(bytes, start + 8) !== SP)
    return rejections.statusLine;
  let status = 0;
  for (let i = start + 9; i < start + 12; i++) {
    if (!isDigit(byteAt(bytes, i))) return rejections.statusLine;
    status = status * 10 + byteAt(bytes, i) - 48;
  }
  let at = start + 12;
  // The space before an empty reason phrase is often left out.
  if (status < 100 || (byteAt(bytes, at) !== SP && byteAt(bytes, at) !== CR))
    return lineRejection(bytes, at, rejections.statusLine);
  while (isValue(byteAt(bytes, at))) at++;
  if (byteAt(bytes, at) !== CR || byteAt(bytes, at + 1) !== LF) return lineRejection(bytes, at, rejections.statusLine);
  return { status, reason: text.slice(13, at - start), isHttp10: minor === 0, next: at + 2 };
}

function responseOf(line: StatusLine, section: FieldSection, rules: ResponseRules): ParsedResponse | Rejection {
  const options = readConnection(section);
  if (options instanceof Rejection) return options;
  const isInterim = line.status < 200;
  if (line.status === 101 && !isUpgradeTo(section, options, rules.upgrade)) return rejections.unasked101;
  // RFC 9112 6.3: 1xx and 204 have no body and no framing fields whatever they say.
  const length =
    isInterim || line.status === 204 ? unsaid : bodyLengthOf(section, { isHttp10: line.isHttp10, isResponse: true });
  if (length instanceof Rejection) return length;
  const framing = framingOf(line.status, length, rules);
  const { isClose, isKeepAlive } = options;
  return {
    head: {
      status: line.status,
      reason: line.reason,
      fields: new Fields(section.list),
      bodyLength: framing === "length" ? length : framing === "none" ? 0 : -1,
      declaredLength: framing === "none" && length >= 0 ? length : -1,
    },
    framing,
    isPersistent: framing !== "close" && (line.isHttp10 ? isKeepAlive && !isClose : !isClose),
    keepAliveMs: section.keepAlive === null ? -1 : timeoutOf(section.keepAlive),
  };
}

function framingOf(status: number, length: number, rules: ResponseRules): ResponseFraming {
  if (status === 101) return "raw";
  if (status < 200 || status === 204 || status === 304 || rules.isHead || length === 0) return "none";
  if (length === chunked) return "chunked";
  return length === unsaid ? "close" : "length";
}

function isUpgradeTo(section: FieldSection, options: ConnectionOptions, upgrade: string | null): boolean {
  return upgrade !== null && options.isUpgrade && section.upgrade?.toLowerCase() === upgrade;
}

/** Milliseconds of `timeout=5, max=100`, or -1. */
function timeoutOf(keepAlive: string): number {
  for (const member of keepAlive.toLowerCase().split(",")) {
    const [name = "", value = ""] = member.split("=");
    if (trimBlanks(name) !== "timeout" || !isTokenText(trimBlanks(value))) continue;
    const seconds = lengthOf(trimBlanks(value));
    return seconds instanceof Rejection ? -1 : seconds * 1000;
  }
  return -1;
}
