// One request head, from bytes to a RequestHead: strict, pure, and whole (head-buffer.ts finds where a head ends).
import { Fields } from "../http/fields.ts";
import type { RequestHead } from "../http/message.ts";
import { isAuthority, isSameAuthority } from "./authority.ts";
import { byteAt, CR, isDigit, isTarget, isToken, isTokenText, LF, SP, trimBlanks } from "./bytes.ts";
import { type ConnectionOptions, FieldSection, lineRejection, readConnection, readFields } from "./field-section.ts";
import { bodyLengthOf, unsaid } from "./framing.ts";
import type { Http1Limits } from "./limits.ts";
import { Rejection, rejections } from "./rejection.ts";

export interface RequestRules {
  readonly limits: Http1Limits;
  /** Of the connection that the request came by. */
  readonly scheme: "http" | "https";
}

/** A request head, and what the connection has to know of it. */
export interface ParsedRequest {
  readonly head: RequestHead;
  readonly isHttp10: boolean;
  /** The client wants the connection kept after the response. */
  readonly isPersistent: boolean;
  /** The client sent `TE: trailers`. */
  readonly takesTrailers: boolean;
}

/** `bytes` from `start` to `end`: the request line and the field lines, each with its CRLF, without the empty line. */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  rules: RequestRules,
): ParsedRequest | Rejection {
  const text = bytes.toString("latin1", start, end);
  const line = parseRequestLine(bytes, start, { text, limits: rules.limits });
  if (line instanceof Rejection) return line;
  const section = new FieldSection();
  const lines = { bytes, text, start, from: line.next, end };
  const bad = readFields(lines, section, { fieldsMax: rules.limits.fieldsMax, isResponse: false });
  return bad ?? requestOf(line, section, rules);
}

export interface RequestLine {
  readonly method: string;
  readonly target: string;
  readonly isHttp10: boolean;
  /** Index into `bytes` of what follows the line's CRLF. */
  readonly next: number;
}

/** `text` is `bytes` from `start` on, in latin1, at least to the end of the line. */
export function parseRequestLine(
  bytes: Buffer,
  start: number,
  rules: { readonly text: string; readonly limits: Http1Limits },
): RequestLine | Rejection {
  let at = start;
  while (isToken(byteAt(bytes, at))) at++;
  const methodLength = at - start;
  if (methodLength === 0 || byteAt(bytes, at) !== SP) return lineRejection(bytes, at, rejections.method);
  if (methodLength > rules.limits.methodBytesMax) return rejections.methodTooLong;
  const targetStart = ++at;
  while (isTarget(byteAt(bytes, at))) at++;
  if (byteAt(bytes, at) === 35) return rejections.fragment;
  if (at === targetStart) return lineRejection(bytes, at, rejections.target);
  if (byteAt(bytes, at) !== SP) {
    return lineRejection(bytes, at, byteAt(bytes, at) === CR ? rejections.requestLine : rejections.target);
  }
  if (at - targetStart > rules.limits.targetBytesMax) return rejections.targetTooLong;
  const minor = versionAt(bytes, at + 1, rules.text.startsWith("HTTP/", at + 1 - start));
  if (minor instanceof Rejection) return minor;
  return {
    method: rules.text.slice(0, methodLength),
    target: rules.text.slice(targetStart - start, at - start),
    isHttp10: minor === 0,
    next: at + 11,
  };
}

/** The minor version of `HTTP/d.d` CRLF at `at`. */
function versionAt(bytes: Buffer, at: number, isHttp: boolean): number | Rejection {
  const isVersion =
    isHttp && isDigit(byteAt(bytes, at + 5)) && byteAt(bytes, at + 6) === 46 && isDigit(byteAt(bytes, at + 7));
  if (!isVersion) return rejections.requestLine;
  if (byteAt(bytes, at + 8) !== CR || byteAt(bytes, at + 9) !== LF)
    return lineRejection(bytes, at + 8, rejections.requestLine);
  return byteAt(bytes, at + 5) === 49 ? byteAt(bytes, at + 7) - 48 : rejections.version;
}

function requestOf(line: RequestLine, section: FieldSection, rules: RequestRules): ParsedRequest | Rejection {
  if (line.method === "CONNECT") return rejections.connect;
  const where = destinationOf(line, section, rules.scheme);
  if (where instanceof Rejection) return where;
  const options = readConnection(section);
  if (options instanceof Rejection) return options;
  const length = bodyLengthOf(section, { isHttp10: line.isHttp10, isResponse: false });
  if (length instanceof Rejection) return length;
  const bodyLength = length === unsaid ? 0 : length;
  // RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored; one without a body has nothing to wait for.
  const expects = section.expect !== null && !line.isHttp10;
  if (expects && section.expect?.toLowerCase() !== "100-continue") return rejections.expectation;
  const takesTrailers = section.te !== null && namesTrailers(section.te);
  // Kept for the next hop, which needs it to send trailers (gRPC); all else of TE is this hop's.
  if (takesTrailers) section.list.push("te", "trailers");
  return {
    head: {
      method: line.method,
      target: where.target,
      authority: where.authority,
      scheme: rules.scheme,
      fields: new Fields(section.list),
      bodyLength,
      upgrade: bodyLength === 0 && !line.isHttp10 ? upgradeOf(section, options) : null,
      expectsContinue: expects && bodyLength !== 0,
      protocol: line.isHttp10 ? "HTTP/1.0" : "HTTP/1.1",
      isAbsoluteForm: where.isAbsoluteForm,
    },
    isHttp10: line.isHttp10,
    isPersistent: line.isHttp10 ? options.isKeepAlive && !options.isClose : !options.isClose,
    takesTrailers,
  };
}

interface Destination {
  readonly target: string;
  readonly authority: string;
  readonly isAbsoluteForm: boolean;
}

/** Host and target, agreed with each other (RFC 9112 3.2 and 3.3). */
function destinationOf(line: RequestLine, section: FieldSection, scheme: "http" | "https"): Destination | Rejection {
  if (section.hostCount > 1) return rejections.hostRepeated;
  if (section.host === null && !line.isHttp10) return rejections.hostMissing;
  const host = section.host ?? "";
  // An empty Host is for requests without an authority, which a mesh could not route; in HTTP/1.0 it counts as none.
  if (!isAuthority(host) && !(host === "" && line.isHttp10)) return rejections.host;
  if (line.target.charCodeAt(0) === 47) return { target: line.target, authority: host, isAbsoluteForm: false };
  if (line.target === "*") {
    return line.method === "OPTIONS" ? { target: "*", authority: host, isAbsoluteForm: false } : rejections.targetForm;
  }
  return absoluteDestination(line, host, scheme);
}

function absoluteDestination(line: RequestLine, host: string, scheme: "http" | "https"): Destination | Rejection {
  const form = /^(https?):\/\/([^/?]*)(.*)$/i.exec(line.target);
  if (form === null) return rejections.targetForm;
  const [, given = "", authority = "", rest = ""] = form;
  if (given.toLowerCase() !== scheme) return rejections.targetScheme;
  if (!isAuthority(authority)) return rejections.host;
  if (host !== "" && !isSameAuthority(host, authority, scheme)) return rejections.hostMismatch;
  // RFC 9112 3.2.4: OPTIONS for a URL without a path means the whole server.
  const empty = line.method === "OPTIONS" && rest === "" ? "*" : `/${rest}`;
  return { target: rest.startsWith("/") ? rest : empty, authority, isAbsoluteForm: true };
}

function namesTrailers(te: string): boolean {
  return te
    .toLowerCase()
    .split(",")
    .some((member) => trimBlanks(member) === "trailers");
}

/** The first protocol asked for that is not HTTP/2 in disguise. Only with `Connection: upgrade`, else the field is a leftover. */
function upgradeOf(section: FieldSection, options: ConnectionOptions): string | null {
  if (section.upgrade === null || !options.isUpgrade) return null;
  for (const member of section.upgrade.toLowerCase().split(",")) {
    const protocol = trimBlanks(member);
    if (protocol !== "" && protocol !== "h2c" && protocol !== "h2" && protocol.split("/").every(isTokenText))
      return protocol;
  }
  return null;
}
