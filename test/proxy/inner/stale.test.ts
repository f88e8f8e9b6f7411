import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, it } from "vitest";
import { call, cleanUp, limitsWith, listen, Recorder, receive, request, response } from "./session-pair.ts";

afterEach(cleanUp);

const limits = limitsWith({ staleMs: 50, silenceMs: 1000, pongMs: 500 });

/** Between caller and receiver, so that a test can cut or silence the path as a restarted container does. */
async function path(port: number) {
  const ends: { near: Socket; far: Socket }[] = [];
  const relay = await listen((near) => {
    const far = connect(port, "127.0.0.1");
    far.on("error", () => near.resetAndDestroy());
    near.on("data", (chunk) => far.write(chunk));
    far.on("data", (chunk) => near.write(chunk));
    near.on("close", () => far.destroy());
    ends.push({ near, far });
  });
  return { port: relay.port, ends };
}

async function answered() {
  const lines: string[] = [];
  const receiver = await receive(
    (stream) => {
      lines.push(stream.head.method);
      stream.events = new Recorder();
      stream.respond(response({ bodyLength: 0 }));
      stream.end(null);
    },
    { limits },
  );
  const between = await path(receiver.port);
  const { upstream, sockets } = call(between.port, { limits });
  const first = new Recorder();
  upstream.open(request(), first);
  await first.over;
  expect(first.failure).toBeNull();
  return { upstream, sockets, lines, ends: between.ends };
}

it("a session that was quiet for long is asked first, and then carries what came in one go", async () => {
  const { upstream, sockets, lines } = await answered();
  await delay(60);
  const [one, other] = [new Recorder(), new Recorder()];
  upstream.open(request({ method: "POST" }), one);
  upstream.open(request({ method: "PUT" }), other);
  await Promise.all([one.over, other.over]);
  expect([one.failure, other.failure]).toEqual([null, null]);
  expect(lines).toEqual(["GET", "POST", "PUT"]);
  expect(sockets).toHaveLength(1);
});

it("a request to a peer that has gone meanwhile is certainly unprocessed, and the next one gets a new connection", async () => {
  const { upstream, sockets, lines, ends } = await answered();
  await delay(60);
  // As a new container at the old address does: the first packet is answered by a reset.
  ends[0]?.near.removeAllListeners("data");
  ends[0]?.near.once("data", () => ends[0]?.near.resetAndDestroy());
  const lost = new Recorder();
  upstream.open(request({ method: "POST" }), lost);
  await lost.over;
  expect(lost.failure).toMatchObject({ flag: "UC", isUnprocessed: true });
  const next = new Recorder();
  upstream.open(request({ method: "POST" }), next);
  await next.over;
  expect(next.failure).toBeNull();
  expect(lines).toEqual(["GET", "POST"]);
  expect(sockets).toHaveLength(2);
});

it("a peer that says nothing at all is given up after one ping, with nothing of the request sent", async () => {
  const { upstream, lines, ends } = await answered();
  await delay(60);
  ends[0]?.near.removeAllListeners("data");
  ends[0]?.near.resume();
  const lost = new Recorder();
  upstream.open(request({ method: "POST" }), lost);
  await lost.over;
  expect(lost.failure).toMatchObject({ flag: "UC", isUnprocessed: true, reason: expect.stringContaining("ping") });
  expect(lines).toEqual(["GET"]);
});
