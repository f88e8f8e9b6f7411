import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { performance } from "node:perf_hooks";
import { afterEach, describe, expect, it } from "vitest";
import { failure, unprocessed } from "../../../proxy/http/failure.ts";
import { FrameType, ResetCode } from "../../../proxy/inner/frames.ts";
import { serveInner } from "../../../proxy/inner/server-session.ts";
import type { InnerServerStream } from "../../../proxy/inner/server-stream.ts";
import { InnerUpstream } from "../../../proxy/inner/upstream.ts";
import { FailureError } from "../../../proxy/tls/failure-error.ts";
import { eventually } from "../../support/eventually.ts";
import {
  call,
  cleanUp,
  cleanUps,
  holdRequests,
  limitsWith,
  listen,
  RawPeer,
  Recorder,
  receive,
  request,
  requestLines,
  response,
} from "./session-pair.ts";

afterEach(cleanUp);

const refusal = unprocessed(failure("UO", 503, "overflow", "payment is full"));

describe("a reset", () => {
  it("by the caller reaches the receiver and leaves the session to all others", async () => {
    const { port, held, sessions, closed } = await holdRequests();
    const { upstream, sockets } = call(port);
    const [cancelled, other, later] = [new Recorder(), new Recorder(), new Recorder()];
    const stream = upstream.open(request({ method: "POST", bodyLength: -1 }), cancelled);
    upstream.open(request(), other);
    await eventually(() => expect(held).toHaveLength(2));
    stream.abort(failure("UT", 504, "response_timeout", "no response within 1 s"));
    await eventually(() => expect(held[0]?.seen.failure).not.toBeNull());
    expect(held[0]?.seen.failure).toMatchObject({
      flag: "DC",
      status: 0,
      reason: expect.stringContaining("within 1 s"),
    });
    upstream.open(request({ target: "/answer" }), later);
    await later.over;
    expect(cancelled.failure).toBeNull();
    await eventually(() => expect([upstream.openStreams, sessions[0]?.openStreams]).toEqual([1, 1]));
    expect([sockets.length, closed.length, other.failure]).toEqual([1, 0, null]);
  });

  it("before the connection is there means that the receiver never hears of the request", async () => {
    const { port, held } = await holdRequests();
    const { upstream } = call(port);
    const [cancelled, other] = [new Recorder(), new Recorder()];
    upstream.open(request({ target: "/cancelled" }), cancelled).abort(refusal);
    upstream.open(request({ target: "/answer" }), other);
    await other.over;
    expect(held).toHaveLength(0);
    expect(upstream.openStreams).toBe(0);
  });

  it.each<[string, (stream: InnerServerStream) => void, object]>([
    ["a refusal", (stream) => stream.refuse(refusal), refusal],
    ["a refusal of a failure that is unprocessed", (stream) => stream.abort(refusal), refusal],
    [
      "a failure that may have been processed",
      (stream) => stream.abort(failure("UC", 503, "detail", "the application closed")),
      { flag: "UC", status: 503, detail: "detail", reason: "the application closed", isUnprocessed: false },
    ],
    [
      "a failure after the response began, whatever it says of itself",
      (stream) => {
        stream.respond(response());
        stream.abort(refusal);
      },
      { ...refusal, isUnprocessed: false },
    ],
  ])("by the receiver brings the caller %s as it was", async (_why, reset, expected) => {
    const { port, held, sessions } = await holdRequests();
    const { upstream } = call(port);
    const told = new Recorder();
    upstream.open(request({ method: "POST", bodyLength: -1 }), told).write(Buffer.from("body"));
    await eventually(() => expect(held).toHaveLength(1));
    if (held[0] !== undefined) reset(held[0].stream);
    await told.over;
    expect(told.failure).toEqual(expected);
    await eventually(() => expect([upstream.openStreams, sessions[0]?.openStreams]).toEqual([0, 0]));
  });

  it("is answered, so that a slot is free only when the peer knows of it", async () => {
    const { port } = await holdRequests();
    const peer = await RawPeer.dial(port);
    peer.hello().frame(FrameType.request, 1, requestLines).frame(FrameType.reset, 1, "\x02UT\n504\nd\nr");
    await eventually(() => expect(peer.ofType(FrameType.reset)).toHaveLength(1));
    expect(peer.ofType(FrameType.reset)[0]?.payload).toEqual(Buffer.from([ResetCode.closed]));
  });
});

describe("a lost connection", () => {
  it("fails its own streams only: UC, and not unprocessed once the head was sent", async () => {
    const { port, held, closed } = await holdRequests();
    const { upstream, sockets } = call(port);
    const other = call(port).upstream;
    const [lost, kept, next] = [new Recorder(), new Recorder(), new Recorder()];
    upstream.open(request(), lost);
    other.open(request(), kept);
    await eventually(() => expect(held).toHaveLength(2));
    sockets[0]?.destroy();
    await lost.over;
    expect(lost.failure).toMatchObject({
      flag: "UC",
      status: 503,
      detail: "upstream_reset_before_response_started{connection_termination}",
      isUnprocessed: false,
    });
    await eventually(() => expect(closed).toHaveLength(1));
    expect(held.filter(({ seen }) => seen.failure?.flag === "DC")).toHaveLength(1);
    upstream.open(request({ target: "/answer" }), next);
    await next.over;
    expect([next.isEnded, kept.failure, sockets.length]).toEqual([true, null, 2]);
  });

  it("says when the response had begun", async () => {
    const { port, held } = await holdRequests();
    const { upstream, sockets } = call(port);
    const told = new Recorder();
    upstream.open(request(), told);
    await eventually(() => expect(held).toHaveLength(1));
    held[0]?.stream.respond(response());
    await eventually(() => expect(told.response).not.toBeNull());
    sockets[0]?.resetAndDestroy();
    await told.over;
    expect(told.failure?.detail).toBe("upstream_reset_after_response_started{connection_termination}");
  });

  it("leaves a stream unprocessed whose head was assembled but not yet handed to the connection", async () => {
    const { port, sessions } = await holdRequests();
    const { upstream, sockets } = call(port);
    const [first, unsent] = [new Recorder(), new Recorder()];
    upstream.open(request({ target: "/answer" }), first);
    await first.over;
    upstream.open(request(), unsent);
    sockets[0]?.destroy(new Error("cut"));
    await unsent.over;
    expect(unsent.failure).toMatchObject({ flag: "UC", isUnprocessed: true, reason: expect.stringContaining("cut") });
    expect(sessions).toHaveLength(1);
  });

  it("whose peer only closed its half is lost too, and the peer is answered", async () => {
    const told = new Recorder();
    const peers: RawPeer[] = [];
    const { port } = await listen((socket) => peers.push(new RawPeer(socket).hello()));
    call(port).upstream.open(request(), told);
    await eventually(() => expect(peers[0]?.ofType(FrameType.request)).toHaveLength(1));
    peers[0]?.socket.end();
    await told.over;
    expect(told.failure).toMatchObject({ flag: "UC", isUnprocessed: false });
    await peers[0]?.closed;
  });

  it("does not take back a response that had arrived whole before a paused reader read it", async () => {
    const { port } = await receive((stream) => {
      stream.respond(response());
      stream.write(Buffer.from("whole"));
      stream.end(null);
    });
    const { upstream, sockets } = call(port);
    const told = new Recorder();
    const stream = upstream.open(request(), told);
    stream.pause();
    await eventually(() => expect(upstream.openStreams).toBe(0));
    sockets[0]?.destroy();
    stream.resume();
    await told.over;
    expect([told.body.toString(), told.failure]).toEqual(["whole", null]);
  });
});

describe("connecting", () => {
  it.each<[string, () => Socket, RegExp]>([
    ["nobody listens", () => connect(1, "127.0.0.1"), /ECONNREFUSED/],
    [
      "the connection is thrown away",
      () => {
        throw new Error("no certificate yet");
      },
      /no certificate yet/,
    ],
  ])("fails with UF, unprocessed, when %s", async (_why, dial, reason) => {
    const upstream = new InnerUpstream({ connect: dial, describe: "payment" });
    cleanUps.push(() => upstream.close());
    const [first, second] = [new Recorder(), new Recorder()];
    const stream = upstream.open(request({ bodyLength: -1 }), first);
    upstream.open(request(), second);
    expect([stream.write(Buffer.from("x")), first.failure]).toEqual([true, null]);
    await Promise.all([first.over, second.over]);
    expect(first.failure).toMatchObject({
      flag: "UF",
      status: 503,
      isUnprocessed: true,
      reason: expect.stringMatching(reason),
    });
    expect(second.failure).toMatchObject({ flag: "UF", isUnprocessed: true });
  });

  it("fails with what the connection's own failure says", async () => {
    const { port } = await listen(() => undefined);
    const wrong = unprocessed(failure("UF", 503, "TLS_error", "proves to be somebody else"));
    const dial = () => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => socket.destroy(new FailureError(wrong)));
      return socket;
    };
    const upstream = new InnerUpstream({ connect: dial, describe: "payment" });
    const told = new Recorder();
    upstream.open(request(), told);
    await told.over;
    expect(told.failure).toEqual(wrong);
  });

  it("to a peer that closes without HELLO is a refusal: nothing was sent to it", async () => {
    const received: Buffer[] = [];
    const { port } = await listen((socket) => {
      socket.on("data", (chunk: Buffer) => received.push(chunk));
      socket.once("data", () => socket.end());
    });
    const told = new Recorder();
    call(port).upstream.open(request({ target: "/secret" }), told);
    await told.over;
    expect(told.failure).toMatchObject({ flag: "UF", isUnprocessed: true });
    expect(Buffer.concat(received).toString("latin1")).not.toContain("secret");
  });

  it("to a peer that never says HELLO ends after its time", async () => {
    const { port } = await listen((socket) => socket.resume());
    const told = new Recorder();
    call(port, { limits: limitsWith({ helloMs: 50 }) }).upstream.open(request(), told);
    await told.over;
    expect(told.failure).toMatchObject({ flag: "UF", isUnprocessed: true, reason: expect.stringContaining("50 ms") });
  });
});

describe("a peer that falls silent", () => {
  /** Forwards both ways until it is told to stop, and then keeps both connections open. */
  async function forwarder(target: number) {
    let isForwarding = true;
    const { port } = await listen((near) => {
      const far = connect(target, "127.0.0.1");
      cleanUps.push(() => far.destroy());
      far.on("error", () => near.destroy());
      near.on("data", (chunk) => isForwarding && far.write(chunk));
      far.on("data", (chunk) => isForwarding && near.write(chunk));
    });
    const stop = () => {
      isForwarding = false;
    };
    return { port, stop };
  }

  it("is noticed within 1.6 s at both ends, and its streams fail with UC", async () => {
    const { port: target, held, closed } = await holdRequests();
    const { port, stop } = await forwarder(target);
    const { upstream } = call(port);
    const told = new Recorder();
    upstream.open(request(), told);
    await eventually(() => expect(held).toHaveLength(1));
    stop();
    const start = performance.now();
    await told.over;
    expect(performance.now() - start).toBeLessThan(1600);
    expect(told.failure).toMatchObject({ flag: "UC", isUnprocessed: false, reason: expect.stringContaining("ping") });
    await eventually(() => expect(closed).toEqual([expect.stringContaining("ping")]), 1000);
    expect(held[0]?.seen.failure?.flag).toBe("DC");
  });

  it("but answers pings is kept, however long its application takes", async () => {
    const limits = limitsWith({ silenceMs: 10, pongMs: 200 });
    const { port, held } = await holdRequests();
    const peer = call(port, { limits });
    const told = new Recorder();
    peer.upstream.open(request(), told);
    await eventually(() => expect(held).toHaveLength(1));
    const sent = peer.sockets[0]?.bytesWritten ?? 0;
    await eventually(() => expect(peer.sockets[0]?.bytesWritten).toBeGreaterThanOrEqual(sent + 5 * 12));
    expect(told.failure).toBeNull();
    held[0]?.stream.respond(response());
    held[0]?.stream.end(null);
    await told.over;
    expect(told.isEnded).toBe(true);
  });
});

describe("a connection that was closed before it was served", () => {
  it("is over at once, and its owner is told", async () => {
    const { port } = await listen((socket) => socket.resume());
    const socket = connect(port, "127.0.0.1");
    socket.destroy();
    await once(socket, "close");
    const reason = await new Promise((resolve) => {
      serveInner(socket, {
        peer: { address: "127.0.0.1", identity: null },
        onRequest: () => undefined,
        onClose: resolve,
      });
    });
    expect(reason).toMatch(/closed|destroyed/);
  });
});
