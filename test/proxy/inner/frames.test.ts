import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { failure, unprocessed } from "../../../proxy/http/failure.ts";
import { FrameReader, type FrameSink } from "../../../proxy/inner/frame-reader.ts";
import { FrameWriter } from "../../../proxy/inner/frame-writer.ts";
import { dataBytesMax, FrameType, frameHeaderBytes, InnerViolation, ResetCode } from "../../../proxy/inner/frames.ts";
import { decodeGoaway, decodeReset, encodeGoaway, encodeReset } from "../../../proxy/inner/reset.ts";
import { type RawFrame, rawFrame } from "./session-pair.ts";

/** Collects frames; DATA slices are joined. */
function collect(): { frames: RawFrame[]; sink: FrameSink } {
  const frames: RawFrame[] = [];
  let open: { stream: number; slices: Buffer[] } = { stream: 0, slices: [] };
  const sink: FrameSink = {
    onDataStart: (stream) => {
      open = { stream, slices: [] };
    },
    onDataSlice: (slice) => open.slices.push(slice),
    onDataEnd: (isEnd) =>
      frames.push({ type: FrameType.data, stream: open.stream, isEnd, payload: Buffer.concat(open.slices) }),
    onFrame: (type, stream, isEnd, payload) => frames.push({ type, stream, isEnd, payload: Buffer.from(payload) }),
  };
  return { frames, sink };
}

const payload = (max: number) => fc.uint8Array({ maxLength: max }).map((bytes) => Buffer.from(bytes));
const streamId = fc.integer({ min: 0, max: 0xffff_ffff });
const frame: fc.Arbitrary<RawFrame> = fc.oneof(
  fc.record({
    type: fc.constantFrom(FrameType.request, FrameType.response, FrameType.data),
    stream: streamId,
    isEnd: fc.boolean(),
    payload: payload(300),
  }),
  fc.record({
    type: fc.constantFrom(FrameType.informational, FrameType.end, FrameType.reset, FrameType.goaway),
    stream: streamId,
    isEnd: fc.constant(false),
    payload: payload(300),
  }),
  fc.record({
    type: fc.constantFrom(FrameType.hello, FrameType.window, FrameType.ping, FrameType.pong),
    stream: streamId,
    isEnd: fc.constant(false),
    payload: fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => Buffer.from(bytes)),
  }),
);

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  let at = 0;
  for (const size of sizes) {
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  chunks.push(bytes.subarray(at));
  return chunks;
}

describe("frames", () => {
  it("arrive as they were written, however the bytes are cut", () => {
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 12 }), fc.array(fc.nat(40), { maxLength: 40 }), (frames, sizes) => {
        const bytes = Buffer.concat(frames.map((f) => rawFrame(f.type, f.stream, f.payload, f.isEnd)));
        const { frames: read, sink } = collect();
        const reader = new FrameReader(sink, 1024);
        for (const chunk of cut(bytes, sizes)) reader.push(chunk);
        expect(read).toEqual(frames);
      }),
      { numRuns: 500 },
    );
  });

  it("arrive when every byte comes alone", () => {
    const { frames, sink } = collect();
    const reader = new FrameReader(sink, 1024);
    const bytes = Buffer.concat([rawFrame(FrameType.end, 7), rawFrame(FrameType.data, 9, "body", true)]);
    for (const byte of bytes) reader.push(Buffer.from([byte]));
    expect(frames).toMatchObject([
      { type: FrameType.end, stream: 7 },
      { type: FrameType.data, stream: 9, isEnd: true, payload: Buffer.from("body") },
    ]);
  });

  it("never do more than fail with a violation, whatever bytes come", () => {
    const mutated = fc
      .tuple(
        fc.array(frame, { minLength: 1, maxLength: 6 }),
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { maxLength: 6 }),
      )
      .map(([frames, changes]) => {
        const bytes = Buffer.concat(frames.map((f) => rawFrame(f.type, f.stream, f.payload, f.isEnd)));
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
        return bytes;
      });
    fc.assert(
      fc.property(fc.oneof(payload(400), mutated), (bytes) => {
        const { sink } = collect();
        try {
          new FrameReader(sink, 1024).push(bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(InnerViolation);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it.each<[string, Buffer, string]>([
    ["a type that does not exist", rawFrame(0x0b, 1), "unknown-frame"],
    ["DATA above 16 KiB", header(dataBytesMax + 1, FrameType.data), "frame-too-large"],
    ["a head above its maximum", header(1025, FrameType.request), "frame-too-large"],
    ["trailers above their maximum", header(1025, FrameType.end), "frame-too-large"],
    ["a RESET above its maximum", header(2049, FrameType.reset), "frame-too-large"],
    ["a GOAWAY above its maximum", header(1025, FrameType.goaway), "frame-too-large"],
    ["a WINDOW of 3 bytes", header(3, FrameType.window), "frame-malformed"],
    ["a PING of 8 bytes", header(8, FrameType.ping), "frame-malformed"],
    ["END as a flag on WINDOW", rawFrame(FrameType.window, 1, "1234", true), "frame-malformed"],
    ["END as a flag on END", rawFrame(FrameType.end, 1, "", true), "frame-malformed"],
  ])("are refused by their header alone: %s", (_why, bytes, rule) => {
    const push = () => new FrameReader(collect().sink, 1024).push(bytes.subarray(0, frameHeaderBytes));
    expect(push).toThrow(expect.objectContaining({ rule }));
  });

  it("carry END as a flag when the stream's newest frame is the last one written", () => {
    const writer = new FrameWriter();
    writer.text(FrameType.response, 1, "200\nOK\n0\n-1");
    writer.end(1);
    writer.text(FrameType.response, 2, "200\nOK\n-1\n-1");
    writer.text(FrameType.informational, 3, "103\n\n0\n-1");
    writer.end(2);
    writer.end(3);
    const { frames, sink } = collect();
    new FrameReader(sink, 1024).push(writer.take());
    writer.end(3);
    new FrameReader(sink, 1024).push(writer.take());
    expect(frames.map(({ type, stream, isEnd }) => [type, stream, isEnd])).toEqual([
      [FrameType.response, 1, true],
      [FrameType.response, 2, false],
      [FrameType.informational, 3, false],
      [FrameType.end, 2, false],
      [FrameType.end, 3, false],
      [FrameType.end, 3, false],
    ]);
  });

  it("are assembled in a buffer that grows, and that is not touched until it is given back", () => {
    const writer = new FrameWriter();
    const big = Buffer.alloc(100_000, "x");
    writer.bytes(FrameType.request, 1, big);
    const first = writer.take();
    writer.bytes(FrameType.request, 2, Buffer.alloc(10_000, "y"));
    expect(first.subarray(frameHeaderBytes).equals(big)).toBe(true);
    writer.reuse(first);
    expect(writer.take().subarray(frameHeaderBytes)).toEqual(Buffer.alloc(10_000, "y"));
  });
});

describe("a RESET", () => {
  it("carries a failure with all of its parts", () => {
    const cause = unprocessed(failure("UH", 503, "no_healthy_upstream", "payment has no healthy endpoint: größer"));
    expect(decodeReset(encodeReset(ResetCode.refused, cause))).toEqual({ code: ResetCode.refused, failure: cause });
  });

  it("says by its code, not by its sender's failure, whether a replay is safe", () => {
    const cause = unprocessed(failure("UC", 503, "detail", "reason"));
    expect(decodeReset(encodeReset(ResetCode.failed, cause)).failure?.isUnprocessed).toBe(false);
  });

  it("cannot bring control characters into a header or onto a terminal", () => {
    const cause = failure("UC", 503, "de\r\ntail", "a\nb\u001b[31m\u0000");
    expect(decodeReset(encodeReset(ResetCode.failed, cause)).failure).toMatchObject({
      detail: "de tail",
      reason: "a b [31m ",
    });
    const forged = Buffer.from("\x03UC\n503\nd\nred \x1b[31m\r", "latin1");
    expect(decodeReset(forged).failure?.reason).toBe("red  [31m ");
  });

  it.each([
    ["nothing", ""],
    ["a code that does not exist", "\x05UC\n503\nd\nr"],
    ["a flag that does not exist", "\x03XX\n503\nd\nr"],
    ["a flag of Object's prototype", "\x03toString\n503\nd\nr"],
    ["a status that is no number", "\x03UC\n5e2\nd\nr"],
    ["a line too many", "\x03UC\n503\nd\nr\nr"],
  ])("is refused when it has %s", (_why, text) => {
    expect(() => decodeReset(Buffer.from(text, "latin1"))).toThrow(InnerViolation);
  });

  it("survives long texts and any bytes", () => {
    const cause = failure("UC", 503, "d".repeat(5000), "ä".repeat(5000));
    expect(encodeReset(ResetCode.failed, cause).length).toBeLessThanOrEqual(2048);
    fc.assert(
      fc.property(payload(100), (bytes) => {
        for (const decode of [decodeReset, decodeGoaway]) {
          try {
            decode(bytes);
          } catch (error) {
            expect(error).toBeInstanceOf(InnerViolation);
          }
        }
      }),
    );
  });
});

describe("a GOAWAY", () => {
  it("carries the last stream, the rule and a text", () => {
    const goaway = { lastStream: 0xffff_fffe, rule: "window-exceeded" as const, text: "stream 3" };
    expect(decodeGoaway(encodeGoaway(goaway))).toEqual(goaway);
  });
});

function header(length: number, type: number): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes);
  bytes.writeUIntBE(length, 0, 3);
  bytes[3] = type;
  bytes[7] = 1;
  return bytes;
}
