import { describe, expect, test } from "vitest";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { type Rejection, rejections } from "../../../proxy/http1/rejection.ts";
import { type ParsedRequest, parseRequestHead } from "../../../proxy/http1/request-parser.ts";

/** `text` is latin1, without the empty line. */
function parse(text: string, scheme: "http" | "https" = "http"): ParsedRequest | Rejection {
  // Bytes around the head: the parser may look at nothing but its own range.
  const bytes = Buffer.from(`\r\nX: y\r\n${text}\r\nrest`, "latin1");
  return parseRequestHead(bytes, 8, 8 + text.length, { limits: defaultLimits, scheme });
}

function accepted(text: string): ParsedRequest {
  const result = parse(text);
  if ("reason" in result) throw new Error(result.reason);
  return result;
}

const get = "GET / HTTP/1.1\r\nHost: a\r\n";

const refused: [why: string, head: string, rejection: Rejection][] = [
  // 2.1.1
  ["bare LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n", rejections.bareLf],
  ["bare LF ends a field", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n", rejections.bareLf],
  ["bare CR in a field value", "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n", rejections.bareCr],
  ["bare CR in the request line", "GET / HTTP/1.1\rHost: a\r\n", rejections.bareCr],
  ["a blank line's worth of space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n", rejections.fold],
  // 2.1.2
  ["two spaces after the method", "GET  / HTTP/1.1\r\nHost: a\r\n", rejections.target],
  ["a tab after the method", "GET\t/ HTTP/1.1\r\nHost: a\r\n", rejections.method],
  ["a vertical tab after the target", "GET /\vHTTP/1.1\r\nHost: a\r\n", rejections.target],
  ["a form feed after the target", "GET /\fHTTP/1.1\r\nHost: a\r\n", rejections.target],
  ["two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n", rejections.requestLine],
  ["a space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n", rejections.requestLine],
  ["a space before the method", " GET / HTTP/1.1\r\nHost: a\r\n", rejections.method],
  ["HTTP/0.9", "GET /\r\n", rejections.requestLine],
  ["a lower-case version", "GET / http/1.1\r\nHost: a\r\n", rejections.requestLine],
  ["a version with two digits", "GET / HTTP/1.10\r\nHost: a\r\n", rejections.requestLine],
  ["a version without minor", "GET / HTTP/1\r\nHost: a\r\n", rejections.requestLine],
  ["HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n", rejections.version],
  ["HTTP/0.9 by name", "GET / HTTP/0.9\r\nHost: a\r\n", rejections.version],
  ["a method with a byte that no token has", "G@T / HTTP/1.1\r\nHost: a\r\n", rejections.method],
  ["a method of 33 bytes", `${"A".repeat(33)} / HTTP/1.1\r\nHost: a\r\n`, rejections.methodTooLong],
  ["a target beyond the limit", `GET /${"a".repeat(16 * 1024)} HTTP/1.1\r\nHost: a\r\n`, rejections.targetTooLong],
  // 2.1.3
  ["no Host", "GET / HTTP/1.1\r\nX: y\r\n", rejections.hostMissing],
  ["two identical Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n", rejections.hostRepeated],
  ["two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nhost: b\r\n", rejections.hostRepeated],
  ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n", rejections.host],
  ["a list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n", rejections.host],
  ["a list of Hosts without blank", "GET / HTTP/1.1\r\nHost: a,b\r\n", rejections.host],
  ["userinfo in Host", "GET / HTTP/1.1\r\nHost: u@a\r\n", rejections.host],
  ["a path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n", rejections.host],
  ["a port that is no number", "GET / HTTP/1.1\r\nHost: a:b\r\n", rejections.host],
  ["an empty port", "GET / HTTP/1.1\r\nHost: a:\r\n", rejections.host],
  ["port 0", "GET / HTTP/1.1\r\nHost: a:0\r\n", rejections.host],
  ["port 65536", "GET / HTTP/1.1\r\nHost: a:65536\r\n", rejections.host],
  ["two ports", "GET / HTTP/1.1\r\nHost: a:1:2\r\n", rejections.host],
  ["an unclosed IPv6 address", "GET / HTTP/1.1\r\nHost: [::1\r\n", rejections.host],
  ["brackets around a name", "GET / HTTP/1.1\r\nHost: [a]\r\n", rejections.host],
  ["an IPv6 zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n", rejections.host],
  ["U+00A0 around Host", "GET / HTTP/1.1\r\nHost: \xa0a\r\n", rejections.host],
  // 2.1.4
  ["an absolute target for another host", "GET http://b/ HTTP/1.1\r\nHost: a\r\n", rejections.hostMismatch],
  ["an absolute target with userinfo", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n", rejections.host],
  ["an absolute target without host", "GET http:///x HTTP/1.1\r\nHost: a\r\n", rejections.host],
  ["an absolute target of another scheme", "GET https://a/ HTTP/1.1\r\nHost: a\r\n", rejections.targetScheme],
  ["a scheme that is not http", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n", rejections.targetForm],
  ["authority form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a\r\n", rejections.targetForm],
  ["CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n", rejections.connect],
  ["* for another method than OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n", rejections.targetForm],
  ["a fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n", rejections.fragment],
  ["NUL in the target", "GET /\0 HTTP/1.1\r\nHost: a\r\n", rejections.target],
  ["DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n", rejections.target],
  ["raw non-ASCII in the target", "GET /\xe9 HTTP/1.1\r\nHost: a\r\n", rejections.target],
  // 2.1.5
  ["a space before a colon", `${get}X : y\r\n`, rejections.blankBeforeColon],
  ["a tab before a colon", `${get}Content-Length\t: 5\r\n`, rejections.blankBeforeColon],
  ["an empty field name", `${get}: y\r\n`, rejections.fieldName],
  ["a field without colon", `${get}Xy\r\n`, rejections.fieldName],
  ["a field name in parentheses", `${get}(x): y\r\n`, rejections.fieldName],
  ["a non-ASCII field name", `${get}\xe9: y\r\n`, rejections.fieldName],
  ["NUL in a field name", `${get}X\0: y\r\n`, rejections.fieldName],
  ["NUL in a value", `${get}X: a\0b\r\n`, rejections.fieldValue],
  ["a vertical tab in a value", `${get}X: a\vb\r\n`, rejections.fieldValue],
  ["DEL in a value", `${get}X: a\x7fb\r\n`, rejections.fieldValue],
  ["101 fields", `${get}${"X: y\r\n".repeat(100)}`, rejections.tooManyFields],
  // 2.1.6
  ["a folded line", `${get}X: a\r\n b\r\n`, rejections.fold],
  ["a line folded by a tab", `${get}X: a\r\n\tb\r\n`, rejections.fold],
  // 2.1.8
  [
    "Transfer-Encoding and Content-Length",
    `${get}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`,
    rejections.lengthAndCoding,
  ],
  [
    "Content-Length and Transfer-Encoding",
    `${get}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`,
    rejections.lengthAndCoding,
  ],
  [
    "an empty Transfer-Encoding beside Content-Length",
    `${get}Transfer-Encoding:\r\nContent-Length: 5\r\n`,
    rejections.lengthAndCoding,
  ],
  ["an empty Transfer-Encoding", `${get}Transfer-Encoding:\r\n`, rejections.coding],
  ["an unknown coding", `${get}Transfer-Encoding: gzip\r\n`, rejections.codingUnknown],
  ["identity", `${get}Transfer-Encoding: identity\r\n`, rejections.codingUnknown],
  ["an unknown coding before chunked", `${get}Transfer-Encoding: gzip, chunked\r\n`, rejections.codingUnknown],
  ["chunked not last", `${get}Transfer-Encoding: chunked, gzip\r\n`, rejections.coding],
  ["chunked twice", `${get}Transfer-Encoding: chunked, chunked\r\n`, rejections.coding],
  ["chunked on two lines", `${get}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`, rejections.coding],
  ["an empty member before chunked", `${get}Transfer-Encoding: ,chunked\r\n`, rejections.coding],
  ["an empty member after chunked", `${get}Transfer-Encoding: chunked,\r\n`, rejections.coding],
  ["chunked in odd case", `${get}Transfer-Encoding: cHuNkEd\r\n`, rejections.coding],
  ["chunked with a parameter", `${get}Transfer-Encoding: chunked;a=b\r\n`, rejections.coding],
  ["chunked in quotes", `${get}Transfer-Encoding: "chunked"\r\n`, rejections.coding],
  ["chunked after U+00A0", `${get}Transfer-Encoding: \xa0chunked\r\n`, rejections.coding],
  ["chunked after a vertical tab", `${get}Transfer-Encoding: \vchunked\r\n`, rejections.fieldValue],
  ["Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", rejections.codingOn10],
  // 2.1.9
  ...[
    "+5",
    "-5",
    "0x5",
    "5_0",
    "5 0",
    "5,5",
    "5, 5",
    "",
    "5x",
    "1e3",
    "\xa05",
    "5.0",
    "9".repeat(16),
    "18446744073709551617",
  ].map((length): [string, string, Rejection] => [
    `Content-Length "${length}"`,
    `${get}Content-Length: ${length}\r\n`,
    rejections.length,
  ]),
  ["two different Content-Lengths", `${get}Content-Length: 5\r\nContent-Length: 6\r\n`, rejections.lengthRepeated],
  ["two identical Content-Lengths", `${get}Content-Length: 5\r\nContent-Length: 5\r\n`, rejections.lengthRepeated],
  // 2.1.13
  ["Connection that strips Host", `${get}Connection: close, Host\r\n`, rejections.connectionNames],
  ["Connection that strips Content-Length", `${get}Connection: content-length\r\n`, rejections.connectionNames],
  ["Connection that strips Authorization", `${get}Connection: Authorization\r\n`, rejections.connectionNames],
  ["Connection that strips Cookie", `${get}Connection: x\r\nConnection: cookie\r\n`, rejections.connectionNames],
  ["Connection that strips X-Forwarded-For", `${get}Connection: X-Forwarded-For\r\n`, rejections.connectionNames],
  ["Connection that is no list of tokens", `${get}Connection: a b\r\n`, rejections.connection],
  // 2.1.19
  ["an unknown expectation", `${get}Expect: 200-ok\r\nContent-Length: 1\r\n`, rejections.expectation],
  [
    "two expectations",
    `${get}Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 1\r\n`,
    rejections.expectation,
  ],
];

describe("a request head is refused for", () => {
  test.each(refused)("%s", (_why, head, rejection) => {
    expect(parse(head)).toBe(rejection);
  });
});

describe("a request head is read:", () => {
  test("method, target, authority and fields keep their spelling, hop-by-hop fields are gone", () => {
    const { head, isPersistent } = accepted(
      "PoST /a?b=%20 HTTP/1.1\r\nhOST: Shop:8080\r\nX-One:  a b\t\r\nKeep-Alive: timeout=5\r\nConnection: X-Hop, keep-alive\r\nx-hop: 1\r\n" +
        "Proxy-Connection: close\r\nEmpty:\r\nX-Two: \xe9\r\nContent-Length: 007\r\n",
    );
    expect(head).toMatchObject({
      method: "PoST",
      target: "/a?b=%20",
      authority: "Shop:8080",
      bodyLength: 7,
      protocol: "HTTP/1.1",
    });
    expect(head.fields.list).toEqual(["X-One", "a b", "Empty", "", "X-Two", "\xe9"]);
    expect(isPersistent).toBe(true);
  });

  test.each([
    ["1.1 without Connection", get, true],
    ["1.1 with close", `${get}Connection: Close\r\n`, false],
    ["1.1 with close in a list", `${get}Connection: foo,,close\r\n`, false],
    ["1.0 without Connection", "GET / HTTP/1.0\r\n", false],
    ["1.0 with keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n", true],
    ["1.0 with keep-alive and close", "GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n", false],
    ["1.2, which counts as 1.1", "GET / HTTP/1.2\r\nHost: a\r\n", true],
  ])("persistence of %s", (_why, head, isPersistent) => {
    expect(accepted(head).isPersistent).toBe(isPersistent);
  });

  test.each([
    ["origin form", "GET /x HTTP/1.1\r\nHost: a:80\r\n", "/x", "a:80"],
    ["HTTP/1.0 without Host", "GET /x HTTP/1.0\r\n", "/x", ""],
    ["absolute form", "GET http://a/x?y HTTP/1.1\r\nHost: A\r\n", "/x?y", "a"],
    ["absolute form with the default port", "GET HTTP://a:80/x HTTP/1.1\r\nHost: a\r\n", "/x", "a:80"],
    ["absolute form without path", "GET http://a HTTP/1.1\r\nHost: a\r\n", "/", "a"],
    ["absolute form with a query only", "GET http://a?q HTTP/1.1\r\nHost: a\r\n", "/?q", "a"],
    ["absolute form, OPTIONS for the server", "OPTIONS http://a HTTP/1.1\r\nHost: a\r\n", "*", "a"],
    ["asterisk form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n", "*", "a"],
    ["an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n", "/", "[::1]:8080"],
    ["a name with underscore and dot", "GET / HTTP/1.1\r\nHost: my_shop.local.\r\n", "/", "my_shop.local."],
    ["a target of 8000 bytes", `GET /${"a".repeat(7999)} HTTP/1.1\r\nHost: a\r\n`, `/${"a".repeat(7999)}`, "a"],
  ])("the destination in %s", (_why, head, target, authority) => {
    expect(accepted(head).head).toMatchObject({ target, authority });
  });

  test.each([
    ["none", get, 0],
    ["a length", `${get}Content-Length: 12\r\n`, 12],
    ["length 0", `${get}Content-Length: 0\r\n`, 0],
    ["chunked", `${get}Transfer-Encoding: chunked\r\n`, -1],
  ])("the body length of %s", (_why, head, bodyLength) => {
    expect(accepted(head).head.bodyLength).toBe(bodyLength);
  });

  test.each([
    ["websocket", `${get}Connection: Upgrade\r\nUpgrade: WebSocket\r\n`, "websocket"],
    ["without Connection", `${get}Upgrade: websocket\r\n`, null],
    [
      "h2c",
      `${get}Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`,
      null,
    ],
    ["h2c and websocket", `${get}Connection: Upgrade\r\nUpgrade: h2c, websocket\r\n`, "websocket"],
    ["with a body", `${get}Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n`, null],
    ["HTTP/1.0", "GET / HTTP/1.0\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", null],
  ])("the upgrade of %s", (_why, head, upgrade) => {
    const parsed = accepted(head);
    expect(parsed.head.upgrade).toBe(upgrade);
    expect(parsed.head.fields.list).toEqual([]);
  });

  test.each([
    ["with a body", `${get}Expect: 100-Continue\r\nContent-Length: 1\r\n`, true],
    ["without a body", `${get}Expect: 100-continue\r\n`, false],
    ["in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n", false],
    ["unknown, in HTTP/1.0", "POST / HTTP/1.0\r\nExpect: nonsense\r\nContent-Length: 1\r\n", false],
  ])("the expectation %s", (_why, head, expectsContinue) => {
    const parsed = accepted(head);
    expect(parsed.head.expectsContinue).toBe(expectsContinue);
    expect(parsed.head.fields.has("expect")).toBe(false);
  });

  test("of TE only trailers goes on", () => {
    const parsed = accepted(`${get}TE: gzip;q=0.5, trailers\r\nConnection: TE\r\n`);
    expect(parsed.takesTrailers).toBe(true);
    expect(parsed.head.fields.list).toEqual(["te", "trailers"]);
    expect(accepted(`${get}TE: gzip\r\n`).head.fields.list).toEqual([]);
  });

  test("names that objects have of their own are names like any other", () => {
    expect(accepted(`${get}__proto__: x\r\nconstructor: y\r\n`).head.fields.get("__proto__")).toBe("x");
  });

  test("https in an absolute target belongs to a TLS connection", () => {
    expect(parse("GET https://a/ HTTP/1.1\r\nHost: a:443\r\n", "https")).toMatchObject({
      head: { authority: "a", scheme: "https" },
    });
  });
});
