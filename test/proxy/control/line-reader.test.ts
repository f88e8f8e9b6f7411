import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { LineReader } from "../../../proxy/control/line-reader.ts";

describe("LineReader", () => {
  test("finds the same lines however the bytes are cut", () => {
    const lines = fc.array(
      fc.string({ unit: "grapheme" }).map((line) => line.replaceAll("\n", "")),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(lines, fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }), (expected, sizes) => {
        const bytes = Buffer.from(expected.map((line) => `${line}\n`).join(""));
        const reader = new LineReader(1000);
        const seen: string[] = [];
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = sizes[i % sizes.length] ?? 1;
          seen.push(...reader.push(bytes.subarray(at, at + size)));
          at += size;
        }
        expect(seen).toEqual(expected);
      }),
    );
  });

  test("takes a line of the maximum and refuses one byte more, whether or not it ends", () => {
    expect(new LineReader(4).push(Buffer.from("abcd\n"))).toEqual(["abcd"]);
    expect(() => new LineReader(4).push(Buffer.from("abcde\n"))).toThrow("more than 4 bytes");
    const reader = new LineReader(4);
    reader.push(Buffer.from("abc"));
    expect(() => reader.push(Buffer.from("de"))).toThrow("more than 4 bytes");
  });
});
