// Why a message is refused: one value for each rule of RFC 9110 and 9112 that a peer can break. `status` is the reply to a bad
// request; a bad response is a 502 whatever its rule. No reason repeats bytes of the peer, so each is safe in a header.

export class Rejection {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string) {
    this.status = status;
    this.reason = reason;
  }
}

export const rejections = {
  bareCr: new Rejection(400, "a CR without LF (RFC 9112 section 2.2)"),
  bareLf: new Rejection(400, "a line that ends in LF without CR (RFC 9112 section 2.2)"),
  startLineByte: new Rejection(400, "a control byte in the start line: this is not HTTP/1 (RFC 9112 section 3)"),
  leadingLines: new Rejection(400, "too many empty lines before the request line (RFC 9112 section 2.2)"),
  headTooLarge: new Rejection(431, "the head is larger than this proxy's limit (RFC 6585 section 5)"),
  tooManyFields: new Rejection(431, "more header fields than this proxy's limit (RFC 6585 section 5)"),
  method: new Rejection(400, "the method is not a token followed by one space (RFC 9112 section 3.1)"),
  methodTooLong: new Rejection(501, "the method is longer than any that is known (RFC 9110 section 9.1)"),
  connect: new Rejection(405, "CONNECT is refused: this proxy tunnels to nobody on request (RFC 9110 section 9.3.6)"),
  target: new Rejection(
    400,
    "the request target is missing or has a byte that may not be in it (RFC 9112 section 3.2)",
  ),
  targetTooLong: new Rejection(414, "the request target is longer than this proxy's limit (RFC 9112 section 3)"),
  fragment: new Rejection(400, "the request target has a fragment (RFC 9112 section 3.2)"),
  targetForm: new Rejection(
    400,
    "the request target is not a path, an absolute http URL, or * for OPTIONS (RFC 9112 section 3.2)",
  ),
  targetScheme: new Rejection(400, "the absolute target's scheme is not the connection's (RFC 9112 section 3.2.2)"),
  requestLine: new Rejection(400, "the request line does not end in HTTP/1.1 and CRLF (RFC 9112 section 3)"),
  version: new Rejection(505, "the HTTP version is not 1.0 or 1.1 (RFC 9112 section 2.3)"),
  statusLine: new Rejection(400, "the status line is not HTTP/1.x, a space and three digits (RFC 9112 section 4)"),
  fold: new Rejection(400, "a folded or indented header line (RFC 9112 section 5.2)"),
  blankBeforeColon: new Rejection(400, "a blank between a field's name and its colon (RFC 9112 section 5.1)"),
  fieldName: new Rejection(
    400,
    "a field name that is empty or not a token, or a field without a colon (RFC 9110 section 5.1)",
  ),
  fieldValue: new Rejection(400, "a control byte in a field value (RFC 9110 section 5.5)"),
  hostMissing: new Rejection(400, "no Host in an HTTP/1.1 request (RFC 9112 section 3.2)"),
  hostRepeated: new Rejection(400, "more than one Host (RFC 9112 section 3.2)"),
  host: new Rejection(400, "Host is not one host with an optional port (RFC 9110 section 7.2)"),
  hostMismatch: new Rejection(400, "Host names another host than the absolute target (RFC 9112 section 3.2.2)"),
  lengthRepeated: new Rejection(400, "more than one Content-Length (RFC 9112 section 6.3)"),
  length: new Rejection(400, "Content-Length is not a plain decimal number (RFC 9110 section 8.6)"),
  lengthAndCoding: new Rejection(400, "both Transfer-Encoding and Content-Length (RFC 9112 section 6.1)"),
  coding: new Rejection(400, "Transfer-Encoding is not exactly one chunked (RFC 9112 section 6.1)"),
  codingUnknown: new Rejection(501, "a transfer coding other than chunked (RFC 9112 section 6.1)"),
  codingOn10: new Rejection(400, "Transfer-Encoding in HTTP/1.0 (RFC 9112 section 6.1)"),
  connection: new Rejection(400, "Connection is not a list of tokens (RFC 9110 section 7.6.1)"),
  connectionNames: new Rejection(
    400,
    "Connection names a field that is meant for the other end (RFC 9110 section 7.6.1)",
  ),
  expectation: new Rejection(417, "an expectation other than 100-continue (RFC 9110 section 10.1.1)"),
  chunkSize: new Rejection(400, "a chunk size that is not plain hexadecimal digits and CRLF (RFC 9112 section 7.1)"),
  chunkSizeTooLarge: new Rejection(400, "a chunk size beyond what can be counted (RFC 9112 section 7.1)"),
  chunkExtension: new Rejection(
    400,
    "a chunk extension without name or with a byte that may not be in it (RFC 9112 section 7.1.1)",
  ),
  chunkExtensionsTooLong: new Rejection(
    400,
    "chunk extensions longer than this proxy's limit (RFC 9112 section 7.1.1)",
  ),
  chunkEnd: new Rejection(400, "no CRLF after a chunk's bytes (RFC 9112 section 7.1)"),
  trailersTooLarge: new Rejection(431, "trailers larger than this proxy's limit (RFC 9112 section 7.1.2)"),
  unasked101: new Rejection(
    400,
    "a 101 without, or to another protocol than, the request's Upgrade (RFC 9110 section 15.2.2)",
  ),
  heldTooMuch: new Rejection(400, "more bytes ahead of their turn than this proxy keeps (RFC 9112 section 9.3.2)"),
} as const;
