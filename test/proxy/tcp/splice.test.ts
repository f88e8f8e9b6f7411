import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { type CloseReason, type Splice, type SpliceOptions, splice } from "../../../proxy/tcp/splice.ts";
import { eventually } from "../../support/eventually.ts";

interface Joined {
  /** The client before the splice. */
  readonly client: net.Socket;
  /** The server behind it. */
  readonly server: net.Socket;
  readonly a: net.Socket;
  readonly splice: Splice;
  readonly counted: Record<"a-to-b" | "b-to-a", number>;
  readonly reasons: CloseReason[];
}

async function listen(): Promise<net.Server> {
  const listener = net.createServer({ allowHalfOpen: true, pauseOnConnect: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  onTestFinished(() => void listener.close());
  return listener;
}

function dial(listener: net.Server): net.Socket {
  const socket = net.connect({ port: (listener.address() as net.AddressInfo).port, allowHalfOpen: true });
  onTestFinished(() => void socket.destroy());
  return socket;
}

async function join(options: SpliceOptions = {}): Promise<Joined> {
  const front = await listen();
  const back = await listen();
  const client = dial(front);
  const [a] = (await once(front, "connection")) as [net.Socket];
  const b = dial(back);
  const counted = { "a-to-b": 0, "b-to-a": 0 };
  const reasons: CloseReason[] = [];
  const joined = splice(a, b, {
    idleTimeoutMs: 60_000,
    onBytes: (direction, bytes) => {
      counted[direction] += bytes;
    },
    onClose: (reason) => reasons.push(reason),
    ...options,
  });
  const [server] = (await once(back, "connection")) as [net.Socket];
  if (b.connecting) await once(b, "connect");
  for (const socket of [client, server]) socket.on("error", () => socket.destroy());
  onTestFinished(() => {
    joined.close();
    server.destroy();
  });
  return { client, server, a, splice: joined, counted, reasons };
}

/** Not `for await`: it destroys the socket at the end of its readable side, whatever is still being written. */
async function digest(socket: net.Socket): Promise<string> {
  const hash = createHash("sha256");
  socket.on("data", (chunk: Buffer) => hash.update(chunk)).resume();
  await once(socket, "end");
  return hash.digest("hex");
}

/** Both sockets are gone, by an error or without one. */
async function gone(...sockets: readonly net.Socket[]): Promise<void> {
  await Promise.all(sockets.map((socket) => new Promise((resolve) => socket.resume().once("close", resolve))));
}

const big = randomBytes(10 * 1024 * 1024);
const bigDigest = createHash("sha256").update(big).digest("hex");

describe("splice", () => {
  test("passes 10 MB each way at once, whole, and counts them", async () => {
    const { client, server, counted, reasons } = await join();
    client.end(big);
    server.end(big);
    expect(await Promise.all([digest(client), digest(server)])).toEqual([bigDigest, bigDigest]);
    await eventually(() => expect(reasons).toEqual(["ended"]));
    expect(counted).toEqual({ "a-to-b": big.length, "b-to-a": big.length });
  });

  test("keeps the other direction open after a half-close", async () => {
    const { client, server, reasons } = await join();
    client.end("question");
    expect(await text(server)).toBe("question");
    server.end(big);
    expect(await digest(client)).toBe(bigDigest);
    await eventually(() => expect(reasons).toEqual(["ended"]));
  });

  test("delivers what a server sends before it closes at once", async () => {
    const { client, server, reasons } = await join();
    server.end(big);
    const received = await digest(client);
    expect(received).toBe(bigDigest);
    client.end();
    server.resume();
    await eventually(() => expect(reasons).toEqual(["ended"]));
  });

  test("passes on an end that came before the splice", async () => {
    const front = await listen();
    const back = await listen();
    const client = dial(front);
    const [a] = (await once(front, "connection")) as [net.Socket];
    client.end();
    a.resume();
    await once(a, "end");
    splice(a, dial(back), {});
    const [server] = (await once(back, "connection")) as [net.Socket];
    expect(await text(server)).toBe("");
    server.end("late");
    expect(await text(client)).toBe("late");
  });

  test.each([
    ["client", "server", "reset-by-a"],
    ["server", "client", "reset-by-b"],
  ] as const)("passes on a reset of the %s as a reset", async (from, to, reason) => {
    const joined = await join();
    joined.client.write("hello");
    await once(joined.server.resume(), "data");
    const seen = once(joined[to], "error").catch((error: unknown) => [error]);
    joined.client.resume();
    joined[from].resetAndDestroy();
    expect(await seen).toMatchObject([{ code: "ECONNRESET" }]);
    await eventually(() => expect(joined.reasons).toEqual([reason]));
  });

  test("resets the client when the server refuses the connection", async () => {
    const front = await listen();
    const closed = await listen();
    const { port } = closed.address() as net.AddressInfo;
    closed.close();
    await once(closed, "close");
    const client = dial(front);
    const [a] = (await once(front, "connection")) as [net.Socket];
    const seen = once(client, "data").catch((error: unknown) => error);
    const reasons: CloseReason[] = [];
    splice(a, net.connect({ port, host: "127.0.0.1" }), { onClose: (reason) => reasons.push(reason) });
    expect(await seen).toMatchObject({ code: "ECONNRESET" });
    await eventually(() => expect(reasons).toEqual(["reset-by-b"]));
  });

  test("stops reading from a sender whose receiver does not read", async () => {
    const { client, server, a, counted } = await join();
    const chunk = Buffer.alloc(1024 * 1024);
    let written = 0;
    const fill = (): void => {
      while (written < 64 && client.write(chunk)) written++;
      written++;
    };
    client.on("drain", fill);
    fill();
    await eventually(() => expect(a.isPaused()).toBe(true));
    const stuck = counted["a-to-b"];
    expect(stuck).toBeLessThan(32 * 1024 * 1024);
    client.off("drain", fill);
    client.end();
    expect((await text(server)).length).toBe(client.bytesWritten);
  });

  test("resets both sides after the idle time", async () => {
    const { client, server, reasons } = await join({ idleTimeoutMs: 60 });
    await gone(client, server);
    await eventually(() => expect(reasons).toEqual(["idle"]));
  });

  test("bytes in one direction keep both open", async () => {
    const { client, server, reasons } = await join({ idleTimeoutMs: 150 });
    server.resume();
    for (let i = 0; i < 12; i++) {
      client.write("still here");
      await once(server, "data");
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
    expect(reasons).toEqual([]);
  });

  test("close() cuts both sides, once", async () => {
    const { client, server, splice: joined, reasons } = await join();
    const both = gone(client, server);
    joined.close();
    joined.close();
    await both;
    await eventually(() => expect(reasons).toEqual(["closed"]));
  });

  test("says so when a stream was gone before the splice", async () => {
    const front = await listen();
    const client = dial(front);
    const [a] = (await once(front, "connection")) as [net.Socket];
    a.destroy();
    await once(a, "close");
    const reason = await new Promise<CloseReason>((resolve) => void splice(a, client, { onClose: resolve }));
    expect(reason).toBe("reset-by-a");
  });
});

async function text(socket: net.Socket): Promise<string> {
  let all = "";
  socket.on("data", (chunk: Buffer) => {
    all += chunk;
  });
  socket.resume();
  await once(socket, "end");
  return all;
}
