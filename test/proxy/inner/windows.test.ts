import { afterEach, describe, expect, it } from "vitest";
import type { ClientStream } from "../../../proxy/http/stream.ts";
import { FrameType, ResetCode } from "../../../proxy/inner/frames.ts";
import { defaultInnerLimits } from "../../../proxy/inner/limits.ts";
import type { InnerServerStream } from "../../../proxy/inner/server-stream.ts";
import { eventually } from "../../support/eventually.ts";
import {
  call,
  cleanUp,
  limitsWith,
  RawPeer,
  Recorder,
  receive,
  request,
  requestLines,
  response,
  send,
  u32,
} from "./session-pair.ts";

afterEach(cleanUp);

const mega = 1024 * 1024;

describe("a reader that stopped", () => {
  it("delays no other stream, and its peer holds back what is beyond the window", async () => {
    const sent = new Map<string, number>();
    const { port } = await receive((stream) => {
      const seen = new Recorder();
      stream.events = seen;
      stream.respond(response({ bodyLength: 8 * mega }));
      const counted = {
        write: (chunk: Buffer) => {
          sent.set(stream.head.target, (sent.get(stream.head.target) ?? 0) + chunk.length);
          return stream.write(chunk);
        },
        end: () => stream.end(null),
      };
      send(counted, seen, Buffer.alloc(8 * mega));
    });
    const { upstream, sockets } = call(port);
    const stopped = new Recorder();
    const stoppedStream = upstream.open(request({ target: "/stopped" }), stopped);
    stoppedStream.pause();
    for (let i = 0; i < 5; i++) {
      const told = new Recorder();
      upstream.open(request({ target: "/flowing" }), told);
      await told.over;
      expect(told.bytes).toBe(8 * mega);
    }
    const { windowBytes, queueBytes } = defaultInnerLimits;
    expect(stopped.bytes).toBe(0);
    expect(sent.get("/stopped")).toBeLessThanOrEqual(windowBytes + queueBytes + 10_000);
    expect(sockets).toHaveLength(1);
    stoppedStream.resume();
    await stopped.over;
    expect(stopped.bytes).toBe(8 * mega);
  });

  it("is reset with OM when the session already holds its maximum for such readers", async () => {
    const { port } = await receive((stream) => {
      const seen = new Recorder();
      stream.events = seen;
      stream.respond(response());
      send(stream, seen, Buffer.alloc(mega));
    });
    const { upstream } = call(port, { limits: limitsWith({ heldBytesMax: 200_000 }) });
    const all = Array.from({ length: 8 }, () => new Recorder());
    const streams: ClientStream[] = all.map((told) => upstream.open(request(), told));
    for (const stream of streams) stream.pause();
    await eventually(() => expect(all.filter((told) => told.failure !== null).length).toBeGreaterThanOrEqual(4));
    for (const stream of streams) stream.resume();
    await Promise.all(all.map((told) => told.over));
    expect(all.filter((told) => told.failure !== null).every((told) => told.failure?.flag === "OM")).toBe(true);
    expect(all.filter((told) => told.isEnded && told.bytes === mega).length).toBeGreaterThanOrEqual(3);
    await eventually(() => expect(upstream.openStreams).toBe(0));
  });

  it("is not charged more memory than its window by a peer that sends one byte a frame", async () => {
    let taken: InnerServerStream | null = null;
    const { port } = await receive((stream) => {
      taken = stream;
      stream.pause();
      stream.events = seen;
    });
    const seen = new Recorder();
    const peer = await RawPeer.dial(port);
    peer.hello().frame(FrameType.request, 1, requestLines);
    const bytes = Buffer.from("one byte a frame, many frames");
    for (const byte of bytes) peer.frame(FrameType.data, 1, Buffer.from([byte]));
    peer.frame(FrameType.end, 1).frame(FrameType.ping, 0, u32(7));
    await eventually(() => expect(peer.ofType(FrameType.pong)).toHaveLength(1));
    (taken as InnerServerStream | null)?.resume();
    expect(seen.chunks).toEqual([bytes]);
    expect(seen.isEnded).toBe(true);
  });
});

describe("a window", () => {
  it("is given back as the reader reads, and grows for a reader that does", async () => {
    const { port } = await receive((stream) => {
      stream.events = new Recorder();
    });
    const peer = await RawPeer.dial(port);
    peer.hello().frame(FrameType.request, 1, requestLines);
    for (let i = 0; i < 4; i++) peer.frame(FrameType.data, 1, Buffer.alloc(16_384));
    const granted = () => peer.ofType(FrameType.window).reduce((sum, frame) => sum + frame.payload.readUInt32BE(0), 0);
    const { windowBytes, windowGrownBytes } = defaultInnerLimits;
    await eventually(() => expect(granted()).toBeGreaterThanOrEqual(windowGrownBytes - windowBytes / 2));
    expect(granted()).toBeLessThanOrEqual(windowGrownBytes);
  });

  it("bounds what is sent, to the byte, and END follows the last one", async () => {
    const { port } = await receive((stream) => {
      stream.respond(response({ bodyLength: 25 }));
      stream.write(Buffer.from("0123456789abcdefghijklmno"));
      stream.end(null);
    });
    const peer = await RawPeer.dial(port);
    peer.hello(10).frame(FrameType.request, 1, requestLines, true).frame(FrameType.ping, 0, u32(1));
    const body = () => Buffer.concat(peer.ofType(FrameType.data).map(({ payload }) => payload)).toString();
    await eventually(() => expect(body()).toBe("0123456789"));
    expect(peer.ofType(FrameType.data).some(({ isEnd }) => isEnd)).toBe(false);
    peer.frame(FrameType.window, 1, u32(1));
    await eventually(() => expect(body()).toBe("0123456789a"));
    peer.frame(FrameType.window, 1, u32(100));
    await eventually(() => expect(body()).toBe("0123456789abcdefghijklmno"));
    expect(peer.ofType(FrameType.data).at(-1)?.isEnd).toBe(true);
  });

  it("of zero sends heads and nothing else until there is credit", async () => {
    const { port } = await receive((stream) => {
      stream.respond(response());
      stream.write(Buffer.from("body"));
      stream.end(null);
    });
    const peer = await RawPeer.dial(port);
    peer.hello(0).frame(FrameType.request, 1, requestLines, true);
    await eventually(() => expect(peer.ofType(FrameType.response)).toHaveLength(1));
    expect(peer.ofType(FrameType.data)).toHaveLength(0);
    peer.frame(FrameType.window, 1, u32(4));
    await eventually(() => expect(peer.ofType(FrameType.data)).toMatchObject([{ isEnd: true }]));
  });

  it("of a reset stream is not given back any more", async () => {
    const { port } = await receive((stream) => {
      stream.events = new Recorder();
      stream.refuse({ flag: "UO", status: 503, detail: "overflow", reason: "full", isUnprocessed: true });
    });
    const peer = await RawPeer.dial(port);
    peer.hello().frame(FrameType.request, 1, requestLines);
    for (let i = 0; i < 4; i++) peer.frame(FrameType.data, 1, Buffer.alloc(16_384));
    peer.frame(FrameType.reset, 1, Buffer.from([ResetCode.closed])).frame(FrameType.ping, 0, u32(1));
    await eventually(() => expect(peer.ofType(FrameType.pong)).toHaveLength(1));
    expect(peer.ofType(FrameType.window)).toHaveLength(0);
    expect(peer.ofType(FrameType.goaway)).toHaveLength(0);
  });
});

describe("a writer", () => {
  it("is told to wait when its stream has enough queued, and when to go on", async () => {
    const { port } = await receive((stream) => {
      stream.events = new Recorder();
    });
    const told = new Recorder();
    const stream = call(port).upstream.open(request({ method: "POST", bodyLength: -1 }), told);
    expect(stream.write(Buffer.alloc(1000))).toBe(true);
    expect(stream.write(Buffer.alloc(200_000))).toBe(false);
    await eventually(() => expect(told.drains).toBe(1));
    expect(stream.write(Buffer.alloc(1000))).toBe(true);
  });

  it("shares what a turn writes with the others, 16 KiB at a time", async () => {
    const { port } = await receive((stream) => {
      stream.respond(response());
      stream.write(Buffer.alloc(60_000, stream.head.target));
      stream.end(null);
    });
    const peer = await RawPeer.dial(port);
    peer.hello();
    for (const [i, name] of ["a", "b", "c"].entries()) {
      peer.frame(FrameType.request, i + 1, requestLines.replace("\n/\n", `\n/${name}\n`), true);
    }
    await eventually(() => expect(peer.ofType(FrameType.data).filter(({ isEnd }) => isEnd)).toHaveLength(3));
    const data = peer.ofType(FrameType.data);
    expect(Math.max(...data.map(({ payload }) => payload.length))).toBe(16_384);
    expect(data.slice(0, 6).map(({ stream }) => stream)).toEqual([1, 2, 3, 1, 2, 3]);
  });
});
