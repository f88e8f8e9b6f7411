import { describe, expect, test } from "vitest";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { type Rejection, rejections } from "../../../proxy/http1/rejection.ts";
import { type ParsedResponse, parseResponseHead } from "../../../proxy/http1/response-parser.ts";

interface About {
  readonly isHead?: boolean;
  readonly upgrade?: string | null;
}

function parse(text: string, about: About = {}): ParsedResponse | Rejection {
  const bytes = Buffer.from(`xx${text}\r\nrest`, "latin1");
  const { isHead = false, upgrade = null } = about;
  return parseResponseHead(bytes, 2, 2 + text.length, { limits: defaultLimits, isHead, upgrade });
}

function accepted(text: string, about: About = {}): ParsedResponse {
  const result = parse(text, about);
  if (!("head" in result)) throw new Error(result.reason);
  return result;
}

const ok = "HTTP/1.1 200 OK\r\n";

const refused: [why: string, head: string, rejection: Rejection][] = [
  ["bare LF ends the status line", "HTTP/1.1 200 OK\nX: y\r\n", rejections.bareLf],
  ["bare LF ends a field", `${ok}X: y\nZ: 1\r\n`, rejections.bareLf],
  ["bare CR in the reason", "HTTP/1.1 200 O\rK\r\n", rejections.bareCr],
  ["bare CR in a value", `${ok}X: a\rb\r\n`, rejections.bareCr],
  ["NUL in a value", `${ok}X: a\0b\r\n`, rejections.fieldValue],
  ["NUL in the reason", "HTTP/1.1 200 O\0K\r\n", rejections.statusLine],
  ["a folded line", `${ok}X: a\r\n b\r\n`, rejections.fold],
  ["a field without colon", `${ok}Xy\r\n`, rejections.fieldName],
  ["an empty field name", `${ok}: y\r\n`, rejections.fieldName],
  ["a name of blanks", `${ok} : y\r\n`, rejections.fold],
  ["another protocol", "ICY 200 OK\r\n", rejections.statusLine],
  ["a lower-case protocol", "http/1.1 200 OK\r\n", rejections.statusLine],
  ["HTTP/2", "HTTP/2 200 OK\r\n", rejections.statusLine],
  ["HTTP/2.0", "HTTP/2.0 200 OK\r\n", rejections.statusLine],
  ["two digits", "HTTP/1.1 20 OK\r\n", rejections.statusLine],
  ["four digits", "HTTP/1.1 2000 OK\r\n", rejections.statusLine],
  ["a signed status", "HTTP/1.1 +20 OK\r\n", rejections.statusLine],
  ["a status below 100", "HTTP/1.1 099 OK\r\n", rejections.statusLine],
  ["two spaces before the status", "HTTP/1.1  200 OK\r\n", rejections.statusLine],
  [
    "Transfer-Encoding and Content-Length",
    `${ok}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`,
    rejections.lengthAndCoding,
  ],
  ["Transfer-Encoding in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n", rejections.codingOn10],
  ["an unknown coding", `${ok}Transfer-Encoding: gzip, chunked\r\n`, rejections.codingUnknown],
  ["chunked twice", `${ok}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`, rejections.coding],
  ["an empty coding", `${ok}Transfer-Encoding:\r\n`, rejections.coding],
  ["a bad length", `${ok}Content-Length: 5x\r\n`, rejections.length],
  ["a bad length hidden by a blank before its colon", `${ok}Content-Length : 5x\r\n`, rejections.length],
  ["a list of lengths", `${ok}Content-Length: 5, 5\r\n`, rejections.length],
  ["two lengths", `${ok}Content-Length: 5\r\nContent-Length: 5\r\n`, rejections.lengthRepeated],
  ["Connection that strips Set-Cookie", `${ok}Connection: set-cookie\r\n`, rejections.connectionNames],
  [
    "a 101 that nobody asked for",
    "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
    rejections.unasked101,
  ],
  ["101 fields", `${ok}${"X: y\r\n".repeat(101)}`, rejections.tooManyFields],
];

describe("a response head is refused for", () => {
  test.each(refused)("%s", (_why, head, rejection) => {
    expect(parse(head)).toBe(rejection);
  });

  test.each([
    ["another protocol than asked for", "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: other\r\n"],
    ["no Upgrade field", "HTTP/1.1 101 S\r\nConnection: upgrade\r\n"],
    ["no Connection field", "HTTP/1.1 101 S\r\nUpgrade: websocket\r\n"],
  ])("a 101 with %s", (_why, head) => {
    expect(parse(head, { upgrade: "websocket" })).toBe(rejections.unasked101);
  });
});

const framings: [why: string, head: string, about: About, expected: object][] = [
  ["length", `${ok}Content-Length: 5\r\n`, {}, { framing: "length", head: { bodyLength: 5 }, isPersistent: true }],
  [
    "length with a blank before the colon",
    `${ok}Content-Length : 5\r\n`,
    {},
    { framing: "length", head: { bodyLength: 5 } },
  ],
  ["length 0", `${ok}Content-Length: 0\r\n`, {}, { framing: "none", head: { bodyLength: 0 } }],
  ["chunked", `${ok}Transfer-Encoding: chunked\r\n`, {}, { framing: "chunked", head: { bodyLength: -1 } }],
  ["Chunked, as some servers write", `${ok}Transfer-Encoding: Chunked\r\n`, {}, { framing: "chunked" }],
  ["neither: until close", ok, {}, { framing: "close", head: { bodyLength: -1 }, isPersistent: false }],
  [
    "204 with a length",
    "HTTP/1.1 204 No\r\nContent-Length: 5\r\n",
    {},
    { framing: "none", head: { bodyLength: 0, declaredLength: -1 } },
  ],
  ["204 with chunked", "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n", {}, { framing: "none" }],
  [
    "304 with a length",
    "HTTP/1.1 304 No\r\nContent-Length: 5\r\n",
    {},
    { framing: "none", head: { bodyLength: 0, declaredLength: 5 } },
  ],
  [
    "HEAD with a length",
    `${ok}Content-Length: 5\r\n`,
    { isHead: true },
    { framing: "none", head: { declaredLength: 5 } },
  ],
  [
    "HEAD with chunked",
    `${ok}Transfer-Encoding: chunked\r\n`,
    { isHead: true },
    { framing: "none", head: { declaredLength: -1 } },
  ],
  ["100", "HTTP/1.1 100 Continue\r\n", {}, { framing: "none", head: { status: 100 } }],
  [
    "103 with a length, which means nothing",
    "HTTP/1.1 103 E\r\nContent-Length: 5\r\n",
    {},
    { framing: "none", head: { declaredLength: -1 } },
  ],
  ["no reason phrase and no space", "HTTP/1.1 200\r\nContent-Length: 0\r\n", {}, { head: { status: 200, reason: "" } }],
  ["no reason phrase", "HTTP/1.1 200 \r\nContent-Length: 0\r\n", {}, { head: { reason: "" } }],
  [
    "a reason of several words",
    "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n",
    {},
    { head: { reason: "Not Found" } },
  ],
  ["HTTP/1.0", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n", {}, { isPersistent: false }],
  [
    "HTTP/1.0 with keep-alive",
    "HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n",
    {},
    { isPersistent: true },
  ],
  ["close", `${ok}Content-Length: 1\r\nConnection: close\r\n`, {}, { isPersistent: false }],
  ["a keep-alive time", `${ok}Content-Length: 1\r\nKeep-Alive: timeout=5, max=100\r\n`, {}, { keepAliveMs: 5000 }],
  ["a bad keep-alive time", `${ok}Content-Length: 1\r\nKeep-Alive: timeout=-5\r\n`, {}, { keepAliveMs: -1 }],
  [
    "a 101 that was asked for",
    "HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-X: 1\r\n",
    { upgrade: "websocket" },
    { framing: "raw" },
  ],
];

describe("a response head is read:", () => {
  test.each(framings)("%s", (_why, head, about, expected) => {
    expect(accepted(head, about)).toMatchObject(expected);
  });

  test("hop-by-hop fields and those that Connection names are gone, the others keep spelling and order", () => {
    const { head } = accepted(
      `${ok}B: 1\r\nConnection: x-hop\r\nX-Hop: 1\r\nset-cookie: a\r\nSet-Cookie: b\r\nUpgrade: h2c\r\nContent-Length: 1\r\n`,
    );
    expect(head.fields.list).toEqual(["B", "1", "set-cookie", "a", "Set-Cookie", "b"]);
  });
});
