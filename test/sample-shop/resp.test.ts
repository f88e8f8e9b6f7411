import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeReply, encodeCommand, RedisError, type RedisReply } from "../../sample-shop/cart/resp.ts";

describe("Redis replies", () => {
  it.each<[why: string, bytes: string, reply: RedisReply]>([
    ["a status", "+OK\r\n", "OK"],
    ["an error", "-ERR wrong\r\n", new RedisError("ERR wrong")],
    ["a number", ":-12\r\n", -12],
    ["a string with a line end in it", "$4\r\na\r\nb\r\n", "a\r\nb"],
    ["an empty string", "$0\r\n\r\n", ""],
    ["no string", "$-1\r\n", null],
    ["a list", "*2\r\n$1\r\na\r\n:1\r\n", ["a", 1]],
    ["an empty list", "*0\r\n", []],
    ["a list in a list", "*1\r\n*1\r\n+a\r\n", [["a"]]],
  ])("reads %s, and waits while a byte is missing", (_, text, reply) => {
    const bytes = Buffer.from(text);
    expect(decodeReply(bytes)).toEqual({ reply, end: bytes.length });
    for (let size = 0; size < bytes.length; size++) expect(decodeReply(bytes.subarray(0, size))).toBeNull();
  });

  it.each<[why: string, bytes: string]>([
    ["another protocol", "HTTP/1.1 200 OK\r\n"],
    ["a length that is no number", "$5x\r\nhello\r\n"],
    ["an empty length", "$\r\n"],
    ["a string larger than anything of ours", "$99999999\r\n"],
    ["a list without end", "*99999999\r\n"],
    ["lists in lists in lists", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n"],
  ])("refuses %s", (_, text) => {
    expect(() => decodeReply(Buffer.from(text))).toThrow();
  });

  it("writes what it reads back, whatever the strings are", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: "grapheme" }), { maxLength: 8 }), (args) => {
        expect(decodeReply(Buffer.from(encodeCommand(args)))?.reply).toEqual(args);
      }),
    );
  });
});
