// What the owner of a session does to it: containers that died, closing, draining.
import { once } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { failure, unprocessed } from "../../../proxy/http/failure.ts";
import { FrameType } from "../../../proxy/inner/frames.ts";
import { eventually } from "../../support/eventually.ts";
import {
  call,
  cleanUp,
  holdRequests,
  listen,
  RawPeer,
  Recorder,
  request,
  requestLines,
  response,
  responseLines,
  u32,
} from "./session-pair.ts";

afterEach(cleanUp);

describe("an owner that knows better", () => {
  it("fails all streams at once when the container is gone, and a new session is opened for the next", async () => {
    const { port, held } = await holdRequests();
    const { upstream, sockets } = call(port);
    const all = [new Recorder(), new Recorder(), new Recorder()];
    for (const told of all) upstream.open(request(), told);
    await eventually(() => expect(held).toHaveLength(3));
    const unsent = new Recorder();
    upstream.open(request(), unsent);
    upstream.peerGone(unprocessed(failure("UC", 503, "container_died", "payment-1 died")));
    for (const told of all) {
      expect(told.failure).toMatchObject({ flag: "UC", reason: "payment-1 died", isUnprocessed: false });
    }
    expect(unsent.failure?.isUnprocessed).toBe(true);
    const next = new Recorder();
    upstream.open(request({ target: "/answer" }), next);
    await next.over;
    expect([next.isEnded, sockets.length]).toEqual([true, 2]);
  });

  it("closes, and takes no more", async () => {
    const { port, held, closed } = await holdRequests();
    const { upstream } = call(port);
    const [open, later] = [new Recorder(), new Recorder()];
    upstream.open(request(), open);
    await eventually(() => expect(held).toHaveLength(1));
    upstream.close();
    expect(open.failure).toMatchObject({ flag: "LR" });
    upstream.open(request(), later);
    await later.over;
    expect(later.failure).toMatchObject({ flag: "UF", isUnprocessed: true });
    await eventually(() => expect(closed).toHaveLength(1));
  });
});

describe("a drain", () => {
  it("by the receiver finishes what is open, sends new requests elsewhere, and then closes", async () => {
    const { port, held, sessions, closed } = await holdRequests();
    const { upstream, sockets } = call(port);
    const [open, next] = [new Recorder(), new Recorder()];
    upstream.open(request(), open);
    await eventually(() => expect(held).toHaveLength(1));
    sessions[0]?.drain();
    await eventually(async () => {
      const probe = new Recorder();
      upstream.open(request({ target: "/answer" }), probe);
      await probe.over;
      expect(sockets).toHaveLength(2);
    });
    held[0]?.stream.respond(response({ bodyLength: 4 }));
    held[0]?.stream.write(Buffer.from("done"));
    held[0]?.stream.end(null);
    await open.over;
    expect([open.body.toString(), open.failure]).toEqual(["done", null]);
    await eventually(() => expect([sockets[0]?.destroyed, closed.length]).toEqual([true, 1]));
    upstream.open(request({ target: "/answer" }), next);
    await next.over;
    expect([next.isEnded, sockets.length]).toEqual([true, 2]);
  });

  it("by the receiver leaves a request that crossed it unprocessed", async () => {
    const { port, held, sessions } = await holdRequests();
    const peer = await RawPeer.dial(port);
    peer.hello().frame(FrameType.request, 1, requestLines);
    await eventually(() => expect(held).toHaveLength(1));
    sessions[0]?.drain();
    peer.frame(FrameType.request, 2, requestLines).frame(FrameType.data, 2, "body", true);
    await eventually(() => expect(peer.ofType(FrameType.goaway)).toHaveLength(1));
    expect(peer.ofType(FrameType.goaway)[0]?.payload.readUInt32BE(0)).toBe(1);
    peer.frame(FrameType.end, 1).frame(FrameType.ping, 0, u32(5));
    await eventually(() => expect(peer.ofType(FrameType.pong)).toHaveLength(1));
    expect(held).toHaveLength(1);
    held[0]?.stream.respond(response());
    held[0]?.stream.end(null);
    await peer.closed;
  });

  it("tells the caller which of its requests were not taken", async () => {
    const peers: RawPeer[] = [];
    const { port } = await listen((socket) => peers.push(new RawPeer(socket).hello()));
    const { upstream } = call(port);
    const [taken, untaken] = [new Recorder(), new Recorder()];
    upstream.open(request(), taken);
    upstream.open(request(), untaken);
    await eventually(() => expect(peers[0]?.ofType(FrameType.request)).toHaveLength(2));
    peers[0]?.frame(FrameType.goaway, 0, Buffer.concat([u32(1), Buffer.from([0])]));
    await untaken.over;
    expect(untaken.failure).toMatchObject({ flag: "UF", isUnprocessed: true });
    peers[0]?.frame(FrameType.response, 1, responseLines, true);
    await taken.over;
    expect(taken.isEnded).toBe(true);
    await peers[0]?.closed;
  });

  it("by the caller finishes what is open and then closes", async () => {
    const { port, held, closed } = await holdRequests();
    const { upstream, sockets } = call(port);
    const open = new Recorder();
    upstream.open(request(), open);
    await eventually(() => expect(held).toHaveLength(1));
    upstream.drain();
    held[0]?.stream.respond(response({ bodyLength: 0 }));
    held[0]?.stream.end(null);
    await open.over;
    expect(open.isEnded).toBe(true);
    await eventually(() => expect(closed).toHaveLength(1));
    if (sockets[0]?.destroyed === false) await once(sockets[0], "close");
  });
});
