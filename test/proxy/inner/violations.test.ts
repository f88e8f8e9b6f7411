import fc from "fast-check";
import { afterEach, describe, expect, it } from "vitest";
import { FrameType, type GoawayName, goawayName, ResetCode } from "../../../proxy/inner/frames.ts";
import { eventually } from "../../support/eventually.ts";
import {
  call,
  cleanUp,
  limitsWith,
  listen,
  RawPeer,
  Recorder,
  rawFrame,
  receive,
  request,
  requestLines,
  response,
  responseLines,
  u32,
} from "./session-pair.ts";

afterEach(cleanUp);

const { hello, request: req, response: res, informational, data, end, reset, window, ping, goaway } = FrameType;
const cancel = "\x02UT\n504\ndetail\nreason";
const failed = "\x03UC\n503\ndetail\nreason";

function ruleOf(peer: RawPeer): GoawayName | null {
  const [frame] = peer.ofType(goaway);
  return frame === undefined ? null : goawayName(frame.payload[4] ?? 0);
}

const greeting = rawFrame(hello, 0, u32(65_536));
const open = rawFrame(req, 1, requestLines);
const openAndEnd = rawFrame(req, 1, requestLines, true);

describe("a caller that breaks the protocol", () => {
  it.each<[string, GoawayName, Buffer[]]>([
    ["a request before HELLO", "hello-expected", [open]],
    ["a PING before HELLO", "hello-expected", [rawFrame(ping, 0, u32(1))]],
    ["DATA before HELLO", "hello-expected", [rawFrame(data, 1, "x")]],
    ["a second HELLO", "frame-order", [greeting, greeting]],
    ["a window in HELLO that is too large", "window-overflow", [rawFrame(hello, 0, u32(0x4000_0001))]],
    ["a type that does not exist", "unknown-frame", [greeting, rawFrame(0x7f, 0)]],
    ["HTTP/1.1", "unknown-frame", [Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]],
    ["a frame that is too large", "frame-too-large", [greeting, Buffer.from([0x00, 0x40, 0x01, data, 0, 0, 0, 1])]],
    ["a frame of the wrong size", "frame-malformed", [greeting, rawFrame(window, 1, "12345")]],
    ["a response", "wrong-direction", [greeting, open, rawFrame(res, 1, responseLines)]],
    ["an informational response", "wrong-direction", [greeting, open, rawFrame(informational, 1, responseLines)]],
    ["a reset code of the receiver's", "wrong-direction", [greeting, open, rawFrame(reset, 1, failed)]],
    ["stream 0", "stream-id", [greeting, rawFrame(req, 0, requestLines)]],
    ["a stream that is not the next one", "stream-id", [greeting, rawFrame(req, 3, requestLines)]],
    ["a stream that is open", "stream-id", [greeting, open, open]],
    ["a stream that is over", "stream-id", [greeting, openAndEnd, rawFrame(ping, 0, u32(1)), openAndEnd]],
    ["DATA for a stream that was never opened", "stream-id", [greeting, rawFrame(data, 1, "x")]],
    ["RESET for a stream that was never opened", "stream-id", [greeting, rawFrame(reset, 9, cancel)]],
    ["WINDOW for the session", "stream-id", [greeting, rawFrame(window, 0, u32(1))]],
    ["PING for a stream", "stream-id", [greeting, open, rawFrame(ping, 1, u32(1))]],
    ["DATA after END", "frame-after-end", [greeting, openAndEnd, rawFrame(data, 1, "x")]],
    ["END after END", "frame-after-end", [greeting, openAndEnd, rawFrame(end, 1)]],
    ["DATA after RESET", "frame-after-end", [greeting, open, rawFrame(reset, 1, cancel), rawFrame(data, 1, "x")]],
    ["a WINDOW of zero", "window-overflow", [greeting, open, rawFrame(window, 1, u32(0))]],
    ["a WINDOW that is too large", "window-overflow", [greeting, open, rawFrame(window, 1, u32(0x4000_0000))]],
    [
      "more than its window",
      "window-exceeded",
      [greeting, open, ...Array(5).fill(rawFrame(data, 1, Buffer.alloc(16_384)))],
    ],
    ["a head that is no head", "head-malformed", [greeting, rawFrame(req, 1, "GET\n/")]],
    ["a head with CR", "head-malformed", [greeting, rawFrame(req, 1, `${requestLines}\na\nb\r`)]],
    ["trailers with NUL", "head-malformed", [greeting, open, rawFrame(end, 1, "a\nb\0")]],
    ["too many fields", "head-malformed", [greeting, rawFrame(req, 1, requestLines + "\na\nb".repeat(513))]],
    ["a RESET without a failure", "frame-malformed", [greeting, open, rawFrame(reset, 1, "\x02")]],
    ["a GOAWAY without a code", "frame-malformed", [greeting, rawFrame(goaway, 0, "123")]],
  ])("is told which rule, and closed: %s", async (_why, rule, bytes) => {
    const seen = new Recorder();
    const { port, closed, sessions } = await receive((stream) => {
      stream.pause();
      stream.events = seen;
    });
    const peer = await RawPeer.dial(port);
    peer.socket.write(Buffer.concat(bytes));
    await peer.closed;
    expect(ruleOf(peer)).toBe(rule);
    await eventually(() => expect(closed).toEqual([expect.stringContaining(rule)]));
    expect(sessions[0]?.openStreams).toBe(0);
    if (seen.failure !== null) expect(seen.failure.flag).toBe("DC");
  });

  it("with too many streams is closed at the first one above the maximum", async () => {
    let requests = 0;
    const limits = limitsWith({ streamsMax: 3 });
    const { port } = await receive(() => requests++, { limits });
    const peer = await RawPeer.dial(port);
    peer.hello();
    for (let id = 1; id <= 4; id++) peer.frame(req, id, requestLines);
    await peer.closed;
    expect([ruleOf(peer), requests]).toEqual(["too-many-streams", 3]);
  });

  it("cannot get round the maximum by resets that the receiver has not answered", async () => {
    let requests = 0;
    const { port } = await receive(() => requests++);
    const peer = await RawPeer.dial(port);
    peer.hello();
    for (let id = 1; id <= 2000; id++) peer.frame(req, id, requestLines).frame(reset, id, cancel);
    await eventually(() => expect(peer.ofType(reset)).toHaveLength(2000));
    expect(requests).toBe(2000);
    expect(peer.ofType(reset).every(({ payload }) => payload[0] === ResetCode.closed)).toBe(true);
  });

  it("is given up when it does not read what it asks for", async () => {
    const { port, closed } = await receive(() => undefined, { limits: limitsWith({ unsentBytesMax: 100_000 }) });
    const peer = await RawPeer.dial(port);
    peer.socket.pause();
    peer.hello();
    const pings = Buffer.concat(Array.from({ length: 10_000 }, (_, i) => rawFrame(ping, 0, u32(i))));
    const flood = () => {
      while (closed.length === 0 && peer.socket.write(pings));
    };
    peer.socket.on("drain", flood);
    flood();
    await eventually(() => expect(closed).toEqual([expect.stringContaining("does not read")]));
  });
});

describe("a receiver that breaks the protocol", () => {
  it.each<[string, GoawayName, Buffer[]]>([
    ["a request", "wrong-direction", [greeting, open]],
    ["CANCEL", "wrong-direction", [greeting, rawFrame(reset, 1, cancel)]],
    ["a response to nothing", "stream-id", [greeting, rawFrame(res, 2, responseLines)]],
    ["a body before its response", "frame-order", [greeting, rawFrame(data, 1, "x")]],
    ["an end before its response", "frame-order", [greeting, rawFrame(end, 1)]],
    ["two responses", "frame-order", [greeting, rawFrame(res, 1, responseLines), rawFrame(res, 1, responseLines)]],
    [
      "1xx after the response",
      "frame-order",
      [greeting, rawFrame(res, 1, responseLines), rawFrame(informational, 1, "103\n\n0\n-1")],
    ],
    ["a second end", "frame-after-end", [greeting, rawFrame(res, 1, responseLines, true), rawFrame(end, 1)]],
    [
      "more than its window",
      "window-exceeded",
      [greeting, rawFrame(res, 1, responseLines), ...Array(5).fill(rawFrame(data, 1, Buffer.alloc(16_384)))],
    ],
    ["a head that is no head", "head-malformed", [greeting, rawFrame(res, 1, "200")]],
  ])("is told which rule, and closed: %s", async (_why, rule, bytes) => {
    const peers: RawPeer[] = [];
    const { port } = await listen((socket) => peers.push(new RawPeer(socket)));
    const { upstream } = call(port);
    const told = new Recorder();
    const stream = upstream.open(request(), told);
    stream.pause();
    await eventually(() => expect(peers).toHaveLength(1));
    const [peer] = peers;
    if (peer === undefined) return;
    peer.socket.write(bytes[0] ?? "");
    await eventually(() => expect(peer.ofType(req)).toHaveLength(1));
    peer.socket.write(Buffer.concat(bytes.slice(1)));
    await peer.closed;
    expect(ruleOf(peer)).toBe(rule);
    if (told.failure !== null) expect(told.failure).toMatchObject({ flag: "UC", isUnprocessed: false });
  });

  it.each([
    ["status 101", res, "101\nx\n-1\n-1"],
    ["a final status as an informational one", informational, "200\nx\n-1\n-1"],
    ["an informational status as a final one", res, "103\nx\n-1\n-1"],
    ["101 as an informational one", informational, "101\nx\n-1\n-1"],
    ["a field that would be framing", res, `${responseLines}\ncontent-length\n3`],
  ])("only in HTTP loses that stream alone: %s", async (_why, type, payload) => {
    const peers: RawPeer[] = [];
    const { port } = await listen((socket) => peers.push(new RawPeer(socket).hello()));
    const { upstream } = call(port);
    const [bad, good] = [new Recorder(), new Recorder()];
    upstream.open(request(), bad);
    upstream.open(request(), good);
    await eventually(() => expect(peers[0]?.ofType(req)).toHaveLength(2));
    peers[0]?.frame(type, 1, payload);
    await bad.over;
    expect(bad.failure).toMatchObject({ flag: "UPE", status: 502, isUnprocessed: false });
    peers[0]?.frame(res, 2, responseLines, true);
    await good.over;
    expect(good.isEnded).toBe(true);
    await eventually(() => expect(peers[0]?.ofType(reset)).toMatchObject([{ stream: 1 }]));
  });
});

describe("any frames", () => {
  const id = fc.integer({ min: 0, max: 4 });
  const anyFrame = fc.oneof(
    fc.constant(openAndEnd),
    id.map((stream) => rawFrame(req, stream, requestLines)),
    fc.tuple(id, fc.boolean()).map(([stream, isEnd]) => rawFrame(data, stream, "body", isEnd)),
    fc.tuple(id, fc.boolean()).map(([stream, isEnd]) => rawFrame(res, stream, responseLines, isEnd)),
    id.map((stream) => rawFrame(end, stream)),
    id.map((stream) => rawFrame(reset, stream, cancel)),
    id.map((stream) => rawFrame(reset, stream, failed)),
    fc.tuple(id, fc.nat()).map(([stream, credit]) => rawFrame(window, stream, u32(credit))),
    fc.constantFrom(rawFrame(ping, 0, u32(1)), rawFrame(goaway, 0, Buffer.from([0, 0, 0, 1, 0]))),
    fc.uint8Array({ maxLength: 30 }).map((bytes) => Buffer.from(bytes)),
  );
  const script = fc.array(anyFrame, { maxLength: 25 }).map((frames) => Buffer.concat([greeting, ...frames]));

  it("leave a receiver that answers, or a closed session, and no stream behind", async () => {
    let open = 0;
    const { port } = await receive((stream) => {
      open++;
      const seen = new Recorder();
      stream.events = seen;
      void seen.over.then(() => open--);
      stream.respond(response());
      stream.write(Buffer.from("answer"));
      stream.end(null);
    });
    await fc.assert(
      fc.asyncProperty(script, async (bytes) => {
        const peer = await RawPeer.dial(port);
        peer.socket.end(bytes);
        await peer.closed;
        await eventually(() => expect(open).toBe(0), 2000, 1);
      }),
      { numRuns: 200 },
    );
  });

  it("leave a caller with an end or a failure for its request", async () => {
    let bytes: Buffer = greeting;
    const { port } = await listen((socket) => {
      socket.resume();
      socket.end(bytes);
    });
    const { upstream } = call(port);
    await fc.assert(
      fc.asyncProperty(script, async (next) => {
        bytes = next;
        const told = new Recorder();
        upstream.open(request(), told);
        await told.over;
        expect(told.isEnded || told.failure !== null).toBe(true);
        await eventually(() => expect(upstream.openStreams).toBe(0), 2000, 1);
      }),
      { numRuns: 200 },
    );
  });
});
