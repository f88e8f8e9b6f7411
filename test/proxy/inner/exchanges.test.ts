import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { Fields } from "../../../proxy/http/fields.ts";
import type { InnerServerStream } from "../../../proxy/inner/server-stream.ts";
import { eventually } from "../../support/eventually.ts";
import { call, cleanUp, Recorder, receive, request, response, send } from "./session-pair.ts";

afterEach(cleanUp);

describe("an exchange", () => {
  it("carries heads, bodies and trailers both ways", async () => {
    const seen = new Recorder();
    let taken: InnerServerStream | null = null;
    const { port } = await receive((stream) => {
      taken = stream;
      stream.events = seen;
      seen.onEvent = () => {
        if (!seen.isEnded) return;
        stream.respond(response({ status: 201, reason: "Made", fields: new Fields(["X-A", "1", "x-a", "ä"]) }));
        stream.write(Buffer.from("answer to "));
        stream.write(seen.body);
        stream.end(new Fields(["grpc-status", "0"]));
      };
    });
    const { upstream } = call(port);
    const told = new Recorder();
    const fields = new Fields(["Accept", "*/*", "x-b", ""]);
    const stream = upstream.open(request({ method: "POST", target: "/charge?a=b", bodyLength: -1, fields }), told);
    stream.write(Buffer.from("question"));
    stream.end(new Fields(["x-sum", "9"]));
    await told.over;
    expect(taken).toMatchObject({
      head: { method: "POST", target: "/charge?a=b", authority: "payment.shop", bodyLength: -1, fields },
      destination: { service: "payment", port: 8080, version: "v1" },
      peer: { identity: "spiffe://cluster.local/ns/shop/sa/cart" },
    });
    expect(seen.trailers).toEqual(new Fields(["x-sum", "9"]));
    expect(told.response).toMatchObject({ status: 201, reason: "Made", fields: new Fields(["X-A", "1", "x-a", "ä"]) });
    expect(told.body.toString()).toBe("answer to question");
    expect(told.trailers).toEqual(new Fields(["grpc-status", "0"]));
  });

  it("carries informational responses, any number, and no body where there is none", async () => {
    const seen = new Recorder();
    const { port } = await receive((stream) => {
      stream.events = seen;
      stream.informational(response({ status: 100, reason: "Continue" }));
      stream.informational(response({ status: 103, fields: new Fields(["link", "</a>"]) }));
      stream.respond(response({ status: 304, bodyLength: 0, declaredLength: 1234 }));
      stream.end(null);
    });
    const told = new Recorder();
    call(port).upstream.open(request(), told);
    await told.over;
    expect(told.informational.map(({ status }) => status)).toEqual([100, 103]);
    expect(told).toMatchObject({ bytes: 0, isEnded: true, response: { bodyLength: 0, declaredLength: 1234 } });
    expect(seen.isEnded).toBe(true);
  });

  it("shares one connection with all others", async () => {
    const { port, sessions } = await receive((stream) => {
      stream.respond(response({ bodyLength: 2 }));
      stream.write(Buffer.from("ok"));
      stream.end(null);
    });
    const { upstream, sockets } = call(port);
    const all = Array.from({ length: 500 }, () => {
      const told = new Recorder();
      upstream.open(request(), told);
      return told;
    });
    await Promise.all(all.map((told) => told.over));
    expect(all.every((told) => told.body.toString() === "ok")).toBe(true);
    expect(sockets).toHaveLength(1);
    expect(sessions[0]?.openStreams).toBe(0);
    expect(upstream.openStreams).toBe(0);
  });

  it.each([64 * 1024, 1024 * 1024, 10 * 1024 * 1024])("carries %d bytes whole, both ways at once", async (size) => {
    const { port } = await receive((stream) => {
      const seen = new Recorder();
      stream.events = seen;
      stream.respond(response({ bodyLength: size }));
      seen.onEvent = () => {
        if (seen.isEnded) send(stream, seen, seen.body);
      };
    });
    const told = new Recorder();
    const body = randomBytes(size);
    const stream = call(port).upstream.open(request({ method: "PUT", bodyLength: size }), told);
    send(stream, told, body);
    await told.over;
    expect(told.failure).toBeNull();
    expect(told.body.equals(body)).toBe(true);
  });

  it("runs 1 MB and 64 kB bodies side by side, and the short ones are not held up by the long ones", async () => {
    const { port } = await receive((stream) => {
      const seen = new Recorder();
      stream.events = seen;
      const size = Number(stream.head.target.slice(1));
      stream.respond(response({ bodyLength: size }));
      send(stream, seen, Buffer.alloc(size, size === 65_536 ? "s" : "l"));
    });
    const { upstream } = call(port);
    const order: string[] = [];
    const fetch = async (size: number) => {
      const told = new Recorder();
      upstream.open(request({ target: `/${size}` }), told);
      await told.over;
      expect(told.body.equals(Buffer.alloc(size, size === 65_536 ? "s" : "l"))).toBe(true);
      order.push(size === 65_536 ? "short" : "long");
    };
    await Promise.all([1_048_576, 1_048_576, 1_048_576, 1_048_576, 65_536, 65_536, 65_536, 65_536].map(fetch));
    expect(order.slice(0, 4)).toEqual(["short", "short", "short", "short"]);
  });

  it("ends with its response: a caller that still sends stops, and both ends are rid of the stream", async () => {
    const seen = new Recorder();
    const { port, sessions } = await receive((stream) => {
      stream.events = seen;
      stream.pause();
      stream.respond(response({ status: 413, bodyLength: 0 }));
      stream.end(null);
    });
    const { upstream, sockets } = call(port);
    const told = new Recorder();
    const stream = upstream.open(request({ method: "POST", bodyLength: 10_000_000 }), told);
    send(stream, told, Buffer.alloc(10_000_000));
    await told.over;
    expect(told).toMatchObject({ isEnded: true, failure: null, response: { status: 413 } });
    await eventually(() => expect([upstream.openStreams, sessions[0]?.openStreams]).toEqual([0, 0]));
    expect(seen.failure?.flag).toBe("DC");
    expect(sockets[0]?.bytesWritten).toBeLessThan(200_000);
  });

  it("tells a reader that paused everything in order once it resumes, the end too", async () => {
    const { port } = await receive((stream) => {
      stream.respond(response());
      for (let i = 0; i < 100; i++) stream.write(Buffer.from(`${i} `));
      stream.end(new Fields(["x", "y"]));
    });
    const told = new Recorder();
    const { upstream } = call(port);
    const stream = upstream.open(request(), told);
    told.onEvent = () => {
      // A consumer may pause and resume inside any event.
      stream.pause();
      setImmediate(() => stream.resume());
    };
    await told.over;
    expect(told.body.toString()).toBe(Array.from({ length: 100 }, (_, i) => `${i} `).join(""));
    expect(told.trailers).toEqual(new Fields(["x", "y"]));
  });

  it.each<[string, (stream: InnerServerStream) => void]>([
    ["status 101", (stream) => stream.respond(response({ status: 101 }))],
    ["a head that cannot be sent", (stream) => stream.respond(response({ fields: new Fields(["a", "b\nc"]) }))],
    [
      "a head that is too large",
      (stream) => stream.respond(response({ fields: new Fields(["a", "b".repeat(200_000)]) })),
    ],
    [
      "a body that is too long",
      (stream) => {
        stream.respond(response({ bodyLength: 1 }));
        stream.write(Buffer.from("ab"));
        stream.end(null);
      },
    ],
    [
      "a body that is too short",
      (stream) => {
        stream.respond(response({ bodyLength: 3 }));
        stream.write(Buffer.from("ab"));
        stream.end(null);
      },
    ],
  ])("fails alone when the receiver answers with %s", async (_why, answer) => {
    const { port, closed } = await receive((stream) => {
      stream.events = new Recorder();
      if (stream.head.target === "/bad") return answer(stream);
      stream.respond(response({ bodyLength: 0 }));
      stream.end(null);
      return undefined;
    });
    const { upstream, sockets } = call(port);
    const [bad, good] = [new Recorder(), new Recorder()];
    upstream.open(request({ target: "/bad" }), bad);
    await bad.over;
    upstream.open(request({ target: "/good" }), good);
    await good.over;
    expect(bad.failure).toMatchObject({ flag: "UPE", isUnprocessed: false });
    expect(good).toMatchObject({ isEnded: true, failure: null });
    expect([sockets.length, closed.length]).toEqual([1, 0]);
    expect(upstream.openStreams).toBe(0);
  });

  it.each([
    ["asks for an Upgrade", request({ upgrade: "websocket" }), "LR"],
    ["has bytes that cannot be sent", request({ fields: new Fields(["a", "b\r\nc"]) }), "DPE"],
    ["has a head that is too large", request({ target: `/${"a".repeat(200_000)}` }), "DPE"],
  ])("is not begun when the request %s", async (_why, wrong, flag) => {
    const { port, sessions } = await receive(() => undefined);
    const told = new Recorder();
    call(port).upstream.open(wrong, told);
    expect(told.failure).toBeNull();
    await told.over;
    expect(told.failure).toMatchObject({ flag, isUnprocessed: true });
    expect(sessions.every(({ openStreams }) => openStreams === 0)).toBe(true);
  });

  it("is refused by the receiver when its head is no HTTP, before anybody sees it, and harms no other", async () => {
    let requests = 0;
    const { port, closed } = await receive((stream) => {
      requests++;
      stream.respond(response({ bodyLength: 0 }));
      stream.end(null);
    });
    const { upstream } = call(port);
    const [bad, good] = [new Recorder(), new Recorder()];
    upstream.open(request({ target: "/a b", fields: new Fields(["x", "y"]) }), bad);
    upstream.open(request(), good);
    await Promise.all([bad.over, good.over]);
    expect(bad.failure).toMatchObject({ flag: "DPE", status: 400, isUnprocessed: true });
    expect([good.isEnded, requests, closed.length]).toEqual([true, 1, 0]);
  });
});
