import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createDemux } from "../../../daemon/docker/demux.ts";
import { createLineSplitter, splitTimestamp, unixTime } from "../../../daemon/docker/logs.ts";

function frame(kind: number, text: string): Buffer {
  const head = Buffer.alloc(8);
  head[0] = kind;
  head.writeUInt32BE(Buffer.byteLength(text), 4);
  return Buffer.concat([head, Buffer.from(text)]);
}

function demuxed(chunks: readonly Buffer[]): { stdout: string; stderr: string } {
  const pieces = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  const demux = createDemux((stream, piece) => pieces[stream].push(piece));
  for (const chunk of chunks) demux(chunk);
  return { stdout: Buffer.concat(pieces.stdout).toString(), stderr: Buffer.concat(pieces.stderr).toString() };
}

describe("createDemux", () => {
  test("gives the same texts however the bytes are cut", () => {
    const frames = fc.array(fc.record({ kind: fc.constantFrom(1, 2), text: fc.string({ unit: "grapheme" }) }));
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 12 })), (list, cuts) => {
        const bytes = Buffer.concat(list.map(({ kind, text }) => frame(kind, text)));
        const chunks: Buffer[] = [];
        let at = 0;
        for (const cut of cuts) {
          chunks.push(bytes.subarray(at, at + cut));
          at += cut;
        }
        chunks.push(bytes.subarray(at));
        const join = (kind: number) =>
          list
            .filter((item) => item.kind === kind)
            .map(({ text }) => text)
            .join("");
        expect(demuxed(chunks)).toEqual({ stdout: join(1), stderr: join(2) });
      }),
    );
  });

  test("an empty frame carries nothing", () => {
    expect(demuxed([Buffer.concat([frame(1, ""), frame(2, "e"), frame(1, "o")])])).toEqual({
      stdout: "o",
      stderr: "e",
    });
  });

  test.each([
    ["a kind that does not exist", Buffer.from("hello world")],
    ["a length that no engine writes", Buffer.from([1, 0, 0, 0, 255, 255, 255, 255])],
  ])("refuses %s", (_why, bytes) => {
    expect(() => demuxed([bytes])).toThrow("not a multiplexed Docker stream");
  });
});

describe("log lines", () => {
  test.each([
    ["whole lines", ["a\nb\n"], ["a", "b"]],
    ["a line in three pieces", ["a", "b", "c\n"], ["abc"]],
    ["a carriage return before the line end", ["a\r\n"], ["a"]],
    ["an unfinished line, which waits", ["a\nb"], ["a"]],
  ])("%s", (_why, pieces, expected) => {
    const split = createLineSplitter();
    expect(pieces.flatMap((piece) => split(Buffer.from(piece)))).toEqual(expected);
  });

  test("a line without an end is cut, not gathered for ever", () => {
    const split = createLineSplitter();
    const lines = Array.from({ length: 10 }, () => split(Buffer.alloc(20_000, "x"))).flat();
    expect(lines.map((line) => line.length)).toEqual([65536, 65536, 65536]);
  });

  test.each([
    ["Docker's timestamp", "2026-11-23T06:24:58.862401961Z hi there", "2026-11-23T06:24:58.862401961Z", "hi there"],
    ["an empty line", "2026-11-23T06:24:58Z ", "2026-11-23T06:24:58Z", ""],
    ["another offset", "2026-11-23T06:24:58.8+01:00 x", "2026-11-23T06:24:58.8+01:00", "x"],
    ["no timestamp", "plain", "", "plain"],
  ])("%s", (_why, text, at, line) => {
    expect(splitTimestamp(text)).toEqual({ at, line });
  });
});

test.each([
  ["seconds", "1767225601", "1767225601"],
  ["seconds with nanoseconds", "1767225601.000000007", "1767225601.000000007"],
  ["RFC 3339", "2026-01-01T00:00:01Z", "1767225601.000000000"],
  ["RFC 3339 with nanoseconds", "2026-01-01T00:00:01.123456789Z", "1767225601.123456789"],
  ["RFC 3339 of another zone", "2026-01-01T01:00:01.5+01:00", "1767225601.500000000"],
  ["a day", "2026-01-01", "1767225600.000000000"],
  ["a word", "yesterday", null],
  ["a duration", "10m", null],
  ["nothing", "", null],
])("the time that Docker is asked for: %s", (_why, text, expected) => expect(unixTime(text)).toBe(expected));
