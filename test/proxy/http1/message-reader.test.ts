import net from "node:net";
import { describe, expect, test } from "vitest";
import type { Fields } from "../../../proxy/http/fields.ts";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { type MessageHandler, MessageReader } from "../../../proxy/http1/message-reader.ts";
import { Rejection, rejections } from "../../../proxy/http1/rejection.ts";
import { parseRequestHead, parseRequestLine } from "../../../proxy/http1/request-parser.ts";

/** Reads requests and writes down what it saw; slices of one body are joined. */
class Recorder implements MessageHandler {
  readonly reader: MessageReader;
  readonly seen: string[] = [];
  rejection: Rejection | null = null;
  #body = "";

  constructor() {
    this.reader = new MessageReader(new net.Socket(), this, { limits: defaultLimits, leadingLinesMax: 2 });
  }

  onStartLine(bytes: Buffer, end: number): Rejection | null {
    const line = parseRequestLine(bytes, 0, { text: bytes.toString("latin1", 0, end), limits: defaultLimits });
    return line instanceof Rejection ? line : null;
  }

  onHead(bytes: Buffer, start: number, end: number): void {
    const parsed = parseRequestHead(bytes, start, end, { limits: defaultLimits, scheme: "http" });
    if (parsed instanceof Rejection) {
      this.reader.stop();
      this.onRejected(parsed);
      return;
    }
    const { method, target, bodyLength, fields } = parsed.head;
    this.seen.push(`${method} ${target} ${fields.list.join("|")}`);
    if (bodyLength < 0) this.reader.expectChunks();
    else this.reader.expectLength(bodyLength);
    if (bodyLength === 0) this.reader.expectHead();
  }

  onBody(slice: Buffer): void {
    this.#body += slice.toString("latin1");
  }

  onBodyEnd(trailers: Fields | null): void {
    this.seen.push(`body ${this.#body} ${trailers === null ? "" : trailers.list.join("|")}`);
    this.#body = "";
    this.reader.expectHead();
  }

  onRejected(rejection: Rejection): void {
    this.rejection = rejection;
  }
}

function read(...parts: string[]): Recorder {
  const recorder = new Recorder();
  for (const part of parts) recorder.reader.push(Buffer.from(part, "latin1"));
  return recorder;
}

const head = "POST /x HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n";
const chunkedHead = `${head}Transfer-Encoding: chunked\r\n\r\n`;

const streams: [why: string, text: string, seen: string[]][] = [
  ["a request without a body", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GET / "]],
  ["a request without fields", "GET / HTTP/1.0\r\n\r\n", ["GET / "]],
  ["empty lines before a request", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", ["GET / "]],
  ["a body of a length", `${head}Content-Length: 5\r\n\r\nhello`, ["POST /x X-One|1", "body hello "]],
  [
    "chunks with extensions and trailers",
    `${chunkedHead}5;a=b;c="d\\"e";f\r\nhello\r\n00A\r\n0123456789\r\n0;x\r\nX-Sum:  9 \r\nHost: b\r\nX-Tab: a\tb\r\n\r\n`,
    ["POST /x X-One|1", "body hello0123456789 X-Sum|9|X-Tab|a\tb"],
  ],
  [
    "three pipelined requests",
    `${head}Content-Length: 2\r\n\r\nhi\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n${chunkedHead}1\r\nx\r\n0\r\n\r\n`,
    ["POST /x X-One|1", "body hi ", "GET /2 ", "POST /x X-One|1", "body x "],
  ],
];

describe("a reader", () => {
  test.each(streams)("reads %s in one piece, byte by byte, and split at every byte", (_why, text, seen) => {
    expect(read(text).seen).toEqual(seen);
    expect(read(...text).seen).toEqual(seen);
    for (let at = 1; at < text.length; at++) expect(read(text.slice(0, at), text.slice(at)).seen).toEqual(seen);
  });

  test.each([
    ["no size", "\r\n", rejections.chunkSize],
    ["a signed size", "+5\r\nhello\r\n", rejections.chunkSize],
    ["a size with 0x", "0x5\r\nhello\r\n", rejections.chunkSize],
    ["a size with an underscore", "1_0\r\n", rejections.chunkSize],
    ["a space before the size", " 5\r\nhello\r\n", rejections.chunkSize],
    ["a space after the size", "5 \r\nhello\r\n", rejections.chunkSize],
    ["a tab after the size", "5\t\r\nhello\r\n", rejections.chunkSize],
    ["a size that ends in LF", "5\nhello\r\n", rejections.chunkSize],
    ["a size that ends in CR", "5\rhello\r\n", rejections.chunkSize],
    ["a size beyond 52 bits", "FFFFFFFFFFFFFFFF\r\n", rejections.chunkSizeTooLarge],
    ["a size of many zeros", `${"0".repeat(20)}5\r\n`, rejections.chunkSizeTooLarge],
    ["an extension without name", "5;\r\nhello\r\n", rejections.chunkExtension],
    ["an extension without value", "5;a=\r\nhello\r\n", rejections.chunkExtension],
    ["an extension with a space", "5; a\r\nhello\r\n", rejections.chunkExtension],
    ["an extension that ends in LF", "5;a\nhello\r\n", rejections.chunkExtension],
    ["a line break in a quoted extension", '5;a="\r\n"\r\nhello\r\n', rejections.chunkExtension],
    ["bytes after a quoted extension", '5;a="b"c\r\n', rejections.chunkExtension],
    ["a quote in the middle of a value", '5;a=b"c"\r\n', rejections.chunkExtension],
    ["endless extensions", `5;${"a".repeat(5000)}`, rejections.chunkExtensionsTooLong],
    ["endless extensions over many chunks", "1;aaaaaaaaa\r\nx\r\n".repeat(500), rejections.chunkExtensionsTooLong],
    ["data longer than its size", "5\r\nhello!\r\n", rejections.chunkEnd],
    ["data that ends in LF", "5\r\nhello\n0\r\n\r\n", rejections.chunkEnd],
    ["data that ends in CR", "5\r\nhello\rX", rejections.chunkEnd],
    ["a last chunk that ends in CR alone", "0\r\n\rX", rejections.bareCr],
    ["a trailer with a blank before its colon", "0\r\nX : y\r\n\r\n", rejections.blankBeforeColon],
    ["a folded trailer", "0\r\nX: y\r\n z\r\n\r\n", rejections.fold],
    ["a trailer that ends in LF", "0\r\nX: y\n\r\n", rejections.bareLf],
    ["too many trailers", `0\r\n${"X: y\r\n".repeat(101)}\r\n`, rejections.tooManyFields],
    ["too large trailers", `0\r\n${`X: ${"y".repeat(500)}\r\n`.repeat(20)}\r\n`, rejections.trailersTooLarge],
  ])("refuses a chunked body with %s, whole and byte by byte", (_why, body, rejection) => {
    expect(read(chunkedHead + body).rejection).toBe(rejection);
    expect(read(chunkedHead, ...body).rejection).toBe(rejection);
  });

  test.each([
    ["a bare LF in a head that has not ended", "GET / HTTP/1.1\r\nHost: a\n", rejections.bareLf],
    ["a head of lines that end in LF", "GET / HTTP/1.1\nHost: a\n\n", rejections.bareLf],
    ["a bare CR in a head that has not ended", "GET / HTTP/1.1\r\nHost: a\rb", rejections.bareCr],
    ["HTTP/0.9, which has no end of a head", "GET /\r\n", rejections.requestLine],
    ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", rejections.startLineByte],
    ["HTTP/2's preface", "PRI * HTTP/2.0\r\n", rejections.version],
    ["three empty lines", "\r\n\r\n\r\nGET / HTTP/1.1\r\n", rejections.leadingLines],
    ["an endless head", `GET / HTTP/1.1\r\n${"X: y\r\n".repeat(20_000)}`, rejections.headTooLarge],
    ["an endless request line", `GET /${"a".repeat(70_000)}`, rejections.headTooLarge],
    ["a whole head beyond the limit", `GET / HTTP/1.1\r\nX: ${"y".repeat(62_000)}\r\n\r\n`, rejections.headTooLarge],
  ])("refuses %s as soon as it is seen, however it is cut", (_why, text, rejection) => {
    expect(read(text).rejection).toBe(rejection);
    expect(read(...text).rejection).toBe(rejection);
  });

  test("drops forbidden trailers", () => {
    const { seen } = read(
      `${chunkedHead}0\r\nContent-Type: x\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\nTrailer: x\r\n\r\n`,
    );
    expect(seen).toEqual(["POST /x X-One|1", "body  "]);
  });

  test("says nothing while it is paused, and goes on from there", async () => {
    const recorder = read(`${head}Content-Length: 5\r\n\r\nhe`);
    recorder.reader.pause();
    recorder.reader.push(Buffer.from("lloGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"));
    recorder.reader.push(Buffer.from("GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"));
    expect(recorder.seen).toEqual(["POST /x X-One|1"]);
    recorder.reader.resume();
    expect(recorder.seen).toEqual(["POST /x X-One|1"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(recorder.seen).toEqual(["POST /x X-One|1", "body hello ", "GET /2 ", "GET /3 "]);
  });

  test("gives slices of what it was given, not copies", () => {
    const bytes = Buffer.from(`${chunkedHead}5\r\nhello\r\n`);
    const slices: Buffer[] = [];
    const recorder = new Recorder();
    recorder.onBody = (slice) => slices.push(slice);
    recorder.reader.push(bytes);
    expect(slices).toHaveLength(1);
    expect(slices[0]?.buffer).toBe(bytes.buffer);
  });

  test("keeps no more than its limit for a paused reader", () => {
    const recorder = read(`${head}Content-Length: 999999999\r\n\r\n`);
    recorder.reader.pause();
    for (let i = 0; i < 5; i++) recorder.reader.push(Buffer.alloc(64 * 1024));
    expect(recorder.rejection).toBe(rejections.heldTooMuch);
  });
});
