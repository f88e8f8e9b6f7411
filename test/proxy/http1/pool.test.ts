// The pool by itself: what it reuses, what it sends again, what it refuses, and what no hostile server can make it mix up.
import net from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Failure } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import type { RequestHead, ResponseHead } from "../../../proxy/http/message.ts";
import type { ClientStream, ClientStreamEvents } from "../../../proxy/http/stream.ts";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { Http1Pool, type Http1PoolOptions } from "../../../proxy/http1/pool.ts";
import { Sweeper } from "../../../proxy/http1/sweeper.ts";
import { eventually } from "../../support/eventually.ts";
import { listen, RawPeer } from "./support/raw-peer.ts";

class Call implements ClientStreamEvents {
  readonly stream: ClientStream;
  head: ResponseHead | null = null;
  informational: number[] = [];
  body = "";
  isEnded = false;
  failure: Failure | null = null;
  drains = 0;

  constructor(
    pool: Http1Pool,
    request: { method?: string; target?: string; hasBody?: boolean; bodyLength?: number } = {},
  ) {
    const { method = "GET", target = "/", hasBody = false, bodyLength = hasBody ? -1 : 0 } = request;
    const head: RequestHead = {
      method,
      target,
      authority: "a",
      scheme: "http",
      fields: new Fields(),
      bodyLength,
      upgrade: null,
      expectsContinue: false,
      protocol: "HTTP/1.1",
    };
    this.stream = pool.open({ head, hasBody, destination: { service: "a", port: 80, version: null } }, this);
    expect(this.failure).toBe(null);
  }

  onInformational(head: ResponseHead): void {
    this.informational.push(head.status);
  }

  onResponse(head: ResponseHead): void {
    this.head = head;
  }

  onData(chunk: Buffer): void {
    this.body += chunk.toString("latin1");
  }

  onEnd(): void {
    this.isEnded = true;
  }

  onAbort(failure: Failure): void {
    this.failure = failure;
  }

  onDrain(): void {
    this.drains++;
  }

  async ends(): Promise<this> {
    await eventually(() => {
      if (this.failure !== null) throw new Error(this.failure.reason);
      if (!this.isEnded) throw new Error("not ended");
    });
    return this;
  }

  async fails(): Promise<Failure> {
    return eventually(() => {
      if (this.failure === null) throw new Error("not failed");
      return this.failure;
    });
  }
}

function openPool(port: number, options: Partial<Http1PoolOptions> = {}): Http1Pool {
  const sweeper = new Sweeper({ everyMs: 10 });
  const pool = new Http1Pool({
    connect: () => net.connect({ port, host: "127.0.0.1", noDelay: true }),
    limits: defaultLimits,
    idleMs: 60_000,
    connectTimeoutMs: 5_000,
    describe: `the application at 127.0.0.1:${port}`,
    sweeper,
    ...options,
  });
  onTestFinished(() => {
    pool.close();
    sweeper.close();
  });
  return pool;
}

/** Answers every head with `answer(connection, request on it)`; "close" and "reset" end the connection instead. */
async function scripted(
  answer: (connection: number, request: number) => string,
): Promise<{ port: number; peers: RawPeer[] }> {
  const peers: RawPeer[] = [];
  const port = await listen((socket) => {
    const connection = peers.length;
    const peer = new RawPeer(socket);
    peers.push(peer);
    let answered = 0;
    socket.on("data", () => {
      const heads = peer.heard.split("\r\n\r\n").length - 1;
      while (answered < heads) {
        const reply = answer(connection, answered++);
        if (reply === "close") socket.end();
        else if (reply === "reset") socket.resetAndDestroy();
        else peer.say(reply);
      }
    });
  });
  return { port, peers };
}

const ok = (body: string): string => `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

describe("a pool", () => {
  test("uses the connection that was used last, and opens another only when all are busy", async () => {
    const { port, peers } = await scripted((connection, request) => ok(`${connection}.${request}`));
    const pool = openPool(port);
    const [first, second] = [new Call(pool), new Call(pool)];
    await Promise.all([first.ends(), second.ends()]);
    expect(peers).toHaveLength(2);
    const last = (await new Call(pool).ends()).body.split(".")[0];
    for (let i = 0; i < 3; i++) expect((await new Call(pool).ends()).body).toBe(`${last}.${i + 2}`);
    expect(pool.connectionCount).toBe(2);
    expect(pool.idleCount).toBe(2);
  });

  test("says why it cannot connect, and that nothing was sent", async () => {
    const port = await listen(() => undefined);
    const closed = net.createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => closed.once("listening", resolve));
    const free = (closed.address() as net.AddressInfo).port;
    await new Promise((resolve) => closed.close(resolve));
    const refused = await new Call(openPool(free), { method: "POST", hasBody: true }).fails();
    expect(refused).toMatchObject({ flag: "UF", status: 503, isUnprocessed: true });
    expect(refused.reason).toBe(`cannot connect to the application at 127.0.0.1:${free}: ECONNREFUSED`);
    const thrown = await new Call(
      openPool(port, {
        connect: () => {
          throw new Error("no certificate yet");
        },
      }),
    ).fails();
    expect(thrown).toMatchObject({ flag: "UF", isUnprocessed: true });
    expect(thrown.reason).toContain("no certificate yet");
  });

  test("gives up connecting after its time", async () => {
    // A socket that is never connected stands for a host that answers nothing.
    const silent = new net.Socket();
    Object.defineProperty(silent, "connecting", { value: true });
    const failure = await new Call(openPool(9, { connect: () => silent, connectTimeoutMs: 20 })).fails();
    expect(failure).toMatchObject({ flag: "UF", isUnprocessed: true });
    expect(failure.reason).toContain("no connection within 20 ms");
  });

  test("holds a body that is written before there is a connection", async () => {
    const { port, peers } = await scripted(() => ok("done"));
    const call = new Call(openPool(port), { method: "POST", hasBody: true });
    expect(call.stream.write(Buffer.from("hello"))).toBe(false);
    call.stream.end(new Fields(["x-sum", "1"]));
    await call.ends();
    expect(peers[0]?.heard).toBe(
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n",
    );
  });

  test("tells when a body that was held back may go on", async () => {
    const { port } = await scripted(() => "HTTP/1.1 100 Continue\r\n\r\n");
    const call = new Call(openPool(port), { method: "POST", hasBody: true });
    expect(call.stream.write(Buffer.from("hello"))).toBe(false);
    await eventually(() => expect(call.drains).toBe(1));
    await eventually(() => expect(call.informational).toEqual([100]));
  });

  test("queues requests when all connections are busy, in order, and refuses those beyond the queue", async () => {
    const { port, peers } = await scripted((_connection, request) => (request === 0 ? "" : ok(String(request))));
    const pool = openPool(port, { connectionsMax: 1, pendingMax: 2 });
    const calls = [0, 1, 2].map((i) => new Call(pool, { target: `/${i}` }));
    const beyond = await new Call(pool).fails();
    expect(beyond).toMatchObject({ flag: "UO", status: 503, isUnprocessed: true });
    expect(pool.pendingCount).toBe(2);
    await eventually(() => expect(peers[0]?.heard).toContain("\r\n\r\n"));
    peers[0]?.say(ok("0"));
    expect(await Promise.all(calls.map(async (call) => (await call.ends()).body))).toEqual(["0", "1", "2"]);
    expect(peers).toHaveLength(1);
  });

  test("forgets a queued request that is aborted, and serves the next", async () => {
    const { port, peers } = await scripted((_connection, request) => (request === 0 ? "" : ok("x")));
    const pool = openPool(port, { connectionsMax: 1 });
    const [first, second, third] = [new Call(pool), new Call(pool, { target: "/2" }), new Call(pool, { target: "/3" })];
    second.stream.abort({ flag: "LR", status: 0, detail: "", reason: "", isUnprocessed: false });
    await eventually(() => expect(peers[0]?.heard).toContain("\r\n\r\n"));
    peers[0]?.say(ok("0"));
    await first.ends();
    await third.ends();
    expect(peers[0]?.heard).not.toContain("/2");
    expect([second.isEnded, second.failure]).toEqual([false, null]);
  });

  test.each([
    ["an idle time of its own", "", { idleMs: 30 }],
    ["what the server's Keep-Alive says", "Keep-Alive: timeout=1\r\n", {}],
  ])("lets an idle connection go after %s", async (_why, field, options) => {
    const { port, peers } = await scripted(() => `HTTP/1.1 200 OK\r\n${field}Content-Length: 0\r\n\r\n`);
    const pool = openPool(port, options);
    await new Call(pool).ends();
    await eventually(() => expect(peers[0]?.isEnded).toBe(true));
    expect(pool.connectionCount).toBe(0);
  });

  test("sends an idempotent request without body again, once, when a reused connection turns out dead", async () => {
    const { port, peers } = await scripted((connection, request) =>
      connection === 0 && request === 1 ? "reset" : ok(`${connection}`),
    );
    const pool = openPool(port);
    await new Call(pool).ends();
    expect((await new Call(pool, { method: "DELETE" }).ends()).body).toBe("1");
    expect(peers.map((peer) => peer.heard.split(" HTTP/1.1").length - 1)).toEqual([2, 1]);
  });

  test("sends it again once only", async () => {
    const { port, peers } = await scripted((connection, request) =>
      connection === 0 && request === 0 ? ok("x") : "close",
    );
    const pool = openPool(port);
    await new Call(pool).ends();
    expect(await new Call(pool).fails()).toMatchObject({ flag: "UC", status: 503, isUnprocessed: false });
    expect(peers).toHaveLength(2);
  });

  test.each([
    ["a POST", { method: "POST" }],
    ["a PUT with a body", { method: "PUT", hasBody: true }],
  ])("sends %s once, even on a reused connection that dies", async (_why, request) => {
    const { port, peers } = await scripted((_connection, at) => (at === 0 ? ok("x") : "close"));
    const pool = openPool(port);
    await new Call(pool).ends();
    const call = new Call(pool, request);
    expect(await call.fails()).toMatchObject({ flag: "UC", isUnprocessed: false });
    expect(peers).toHaveLength(1);
  });

  test("does not send again what a fresh connection did not answer, or what was answered in part", async () => {
    const fresh = await scripted(() => "close");
    expect(await new Call(openPool(fresh.port)).fails()).toMatchObject({ flag: "UC", isUnprocessed: false });
    expect(fresh.peers).toHaveLength(1);
    const partial = await scripted((_connection, at) => (at === 0 ? ok("x") : "HTTP/1.1 2"));
    const pool = openPool(partial.port);
    await new Call(pool).ends();
    const call = new Call(pool);
    await eventually(() => expect(partial.peers[0]?.heard.split("\r\n\r\n")).toHaveLength(3));
    partial.peers[0]?.socket.end();
    expect(await call.fails()).toMatchObject({ flag: "UC", isUnprocessed: false });
    expect(partial.peers).toHaveLength(1);
  });

  test("never takes bytes on an idle connection for an answer", async () => {
    const { port, peers } = await scripted((connection, request) => ok(`${connection}.${request}`));
    const pool = openPool(port);
    await new Call(pool).ends();
    peers[0]?.say(ok("poison"));
    await eventually(() => expect(pool.idleCount).toBe(0));
    expect((await new Call(pool).ends()).body).toBe("1.0");
  });

  test("aborting a request closes its connection", async () => {
    const { port, peers } = await scripted(() => "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    const pool = openPool(port);
    const call = new Call(pool);
    await eventually(() => expect(call.body).toBe("hello"));
    call.stream.abort({ flag: "LR", status: 0, detail: "", reason: "", isUnprocessed: false });
    await eventually(() => expect(peers[0]?.isEnded).toBe(true));
    await eventually(() => expect(pool.connectionCount).toBe(0));
    expect(call.failure).toBe(null);
  });

  test("closing it aborts what is in progress and what waits", async () => {
    const { port } = await scripted(() => "");
    const pool = openPool(port, { connectionsMax: 1 });
    const calls = [new Call(pool), new Call(pool)];
    pool.close();
    for (const call of calls) expect(await call.fails()).toMatchObject({ flag: "LR" });
    expect(await new Call(pool).fails()).toMatchObject({ flag: "LR" });
    await eventually(() => expect(pool.connectionCount).toBe(0));
  });

  test("a body that is not as long as it said is cut, never ended", async () => {
    const { port, peers } = await scripted(() => "");
    const pool = openPool(port);
    const short = new Call(pool, { method: "POST", hasBody: true, bodyLength: 10 });
    short.stream.write(Buffer.from("hello"));
    short.stream.end(null);
    expect(await short.fails()).toMatchObject({ flag: "LR" });
    const long = new Call(pool, { method: "POST", hasBody: true, bodyLength: 2 });
    long.stream.write(Buffer.from("hello"));
    expect(await long.fails()).toMatchObject({ flag: "LR" });
    await eventually(() => expect(peers.every((peer) => peer.isEnded)).toBe(true));
    expect(peers.some((peer) => peer.heard.includes("hello") && !peer.heard.includes("Content-Length: 10"))).toBe(
      false,
    );
  });

  test("a value that latin1 cannot carry does not become a line break", async () => {
    const { port, peers } = await scripted(() => ok("x"));
    const call = new Call(openPool(port), { target: "/\u010a\u010dX: y" });
    await call.ends();
    expect(peers[0]?.heard).toBe("GET /??X: y HTTP/1.1\r\nHost: a\r\n\r\n");
  });
});

describe("a hostile response never reaches another request:", () => {
  const hostile: [why: string, answer: string, flag: string | null][] = [
    ["two responses in one", ok("first") + ok("poison"), null],
    ["more bytes than its length", `${ok("first")}poison`, null],
    ["a body after 204", `HTTP/1.1 204 No\r\nContent-Length: 40\r\n\r\n${ok("poison")}`, null],
    ["a body after 304", `HTTP/1.1 304 No\r\nContent-Length: 40\r\n\r\n${ok("poison")}`, null],
    [
      "length and chunks",
      `HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${ok("poison")}`,
      "UPE",
    ],
    ["two lengths", `HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n${ok("poison")}`, "UPE"],
    ["a signed length", `HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello${ok("poison")}`, "UPE"],
    ["an unasked 101", `HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n${ok("poison")}`, "UPE"],
    ["lines that end in LF", `HTTP/1.1 200 OK\nContent-Length: 0\n\n${ok("poison")}`, "UPE"],
    ["a folded length", `HTTP/1.1 200 OK\r\nX: y\r\n Content-Length: 0\r\n\r\n${ok("poison")}`, "UPE"],
    ["no HTTP", `-ERR unknown command\r\n`, "UPE"],
    [
      "a bad chunk",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n${ok("poison")}`,
      "UPE",
    ],
    [
      "chunks that end early",
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n0\r\n\r\n${ok("poison")}`,
      null,
    ],
    ["an endless head", `HTTP/1.1 200 OK\r\n${"X: y\r\n".repeat(20_000)}`, "UPE"],
    ["many interim responses", `${"HTTP/1.1 103 E\r\n\r\n".repeat(50)}${ok("first")}${ok("poison")}`, null],
  ];

  test.each(hostile)("%s", async (_why, answer, flag) => {
    const { port, peers } = await scripted((connection) => (connection === 0 ? answer : ok("mine")));
    const pool = openPool(port);
    const victim = new Call(pool);
    if (flag === null) await victim.ends();
    else expect(await victim.fails()).toMatchObject({ flag, status: 502, isUnprocessed: false });
    expect(victim.body).not.toContain("poison");
    const next = await new Call(pool, { target: "/next" }).ends();
    expect(next.body).toBe("mine");
    expect(peers).toHaveLength(2);
  });

  test("the same, a byte a packet", async () => {
    for (const [, answer, flag] of hostile.filter(([why]) => !why.startsWith("an endless"))) {
      const peers: RawPeer[] = [];
      const port = await listen((socket) => {
        const peer = new RawPeer(socket);
        const reply = peers.push(peer) === 1 ? answer : ok("mine");
        socket.once("data", () => {
          const bytes = [...reply];
          const sayNext = (): void => {
            const byte = bytes.shift();
            if (byte === undefined || socket.destroyed) return;
            socket.write(byte, "latin1", () => setImmediate(sayNext));
          };
          sayNext();
        });
      });
      const pool = openPool(port);
      const victim = new Call(pool);
      if (flag === null) await victim.ends();
      else expect(await victim.fails()).toMatchObject({ flag });
      expect(victim.body).not.toContain("poison");
      expect((await new Call(pool).ends()).body).toBe("mine");
    }
  });
});
