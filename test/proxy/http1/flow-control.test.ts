// What holds a connection up and what ends it: early responses, back-pressure, deadlines, drain.
import type http from "node:http";
import { describe, expect, test } from "vitest";
import { Sweeper } from "../../../proxy/http1/sweeper.ts";
import { eventually } from "../../support/eventually.ts";
import { ask, startNodeUpstream } from "./support/node-upstream.ts";
import { RawPeer, startRawUpstream } from "./support/raw-peer.ts";
import { startRelay } from "./support/relay.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a\r\n";
const upgrade =
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

describe("an early response", () => {
  test("of an error reaches a client that is still sending, whose connection ends without a reset before it", async () => {
    const upstream = await startNodeUpstream((_request, response) =>
      response.writeHead(413, { connection: "close" }).end("too large"),
    );
    const relay = await startRelay(upstream);
    const client = await RawPeer.connect(relay.port);
    client.say(`${post}Content-Length: 1000000000\r\n\r\n`);
    const filler = Buffer.alloc(16 * 1024);
    const timer = setInterval(() => client.socket.write(filler), 1);
    await client.hears("too large");
    await client.ends();
    clearInterval(timer);
    expect(client.heard).toContain("Connection: close\r\n");
    expect(relay.failures).toEqual([]);
    await eventually(() => expect(relay.pool.connectionCount).toBe(0));
  });

  test("of success with a small rest of the request keeps the client's connection: the rest is thrown away", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(`${post}Content-Length: 10\r\n\r\nhello`);
    const first = await upstream.peer(0);
    await first.hears("hello");
    first.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await client.hears("\r\n\r\nok");
    // The upstream connection was in the middle of a request: it may not serve another.
    await first.ends();
    client.say(`world${get}`);
    const second = await upstream.peer(1);
    await second.hears("GET / HTTP/1.1");
    expect(second.heard).not.toContain("world");
    second.say("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\ntwo");
    await client.hears("\r\n\r\ntwo");
  });

  test("that goes on while the request goes on is a conversation", async () => {
    const relay = await startRelay(
      await startNodeUpstream((request, response) => {
        response.flushHeaders();
        request.on("data", (chunk: Buffer) => response.write(chunk.toString().toUpperCase()));
        request.on("end", () => response.end());
      }),
    );
    const client = await RawPeer.connect(relay.port);
    client.say(`${post}Transfer-Encoding: chunked\r\n\r\n`);
    await client.hears("200 OK");
    for (const word of ["one", "two"]) {
      client.say(`3\r\n${word}\r\n`);
      await client.hears(`3\r\n${word.toUpperCase()}\r\n`);
    }
    client.say("0\r\n\r\n");
    await client.hears("0\r\n\r\n");
    client.heard = "";
    client.say(`${post}Content-Length: 1\r\n\r\nx`);
    await client.hears("X");
  });
});

describe("back-pressure", () => {
  test("a client that does not read holds up the upstream, in bounded memory", async () => {
    let written = 0;
    const upstream = await startNodeUpstream((_request, response) => {
      const block = Buffer.alloc(64 * 1024);
      const pump = (): void => {
        while (written < 200_000_000) {
          written += block.length;
          if (!response.write(block)) {
            response.once("drain", pump);
            return;
          }
        }
        response.end();
      };
      pump();
    });
    const relay = await startRelay(upstream);
    const client = await RawPeer.connect(relay.port);
    client.socket.pause();
    client.say(get);
    let before = -1;
    await eventually(
      () => {
        const isStill = written > 0 && written === before;
        before = written;
        if (!isStill) throw new Error("still writing");
      },
      10_000,
      200,
    );
    // The kernel's buffers of four sockets hold some megabytes; what matters is that it is not 200.
    expect(written).toBeLessThan(50_000_000);
    const [connection] = relay.connections;
    expect(connection).toBeDefined();
    expect(process.memoryUsage().arrayBuffers).toBeLessThan(50_000_000);
    client.socket.removeAllListeners("data");
    let received = 0;
    client.socket.on("data", (chunk: Buffer) => (received += chunk.length));
    client.socket.resume();
    await eventually(() => expect(received).toBeGreaterThan(200_000_000));
  });

  test("an upstream that does not read holds up the client, in bounded memory", async () => {
    const paused: http.IncomingMessage[] = [];
    const upstream = await startNodeUpstream((request, response) => {
      paused.push(request.pause());
      request.on("end", () => response.end("done"));
    });
    const relay = await startRelay(upstream);
    const client = await RawPeer.connect(relay.port);
    const size = 100_000_000;
    client.say(`${post}Content-Length: ${size}\r\n\r\n`);
    let sent = 0;
    const block = Buffer.alloc(64 * 1024);
    const pump = (): void => {
      while (sent < size) {
        const piece = block.subarray(0, Math.min(block.length, size - sent));
        sent += piece.length;
        if (!client.socket.write(piece)) {
          client.socket.once("drain", pump);
          return;
        }
      }
    };
    pump();
    let before = -1;
    await eventually(
      () => {
        const isStill = paused.length > 0 && sent === before;
        before = sent;
        if (!isStill) throw new Error("still sending");
      },
      10_000,
      200,
    );
    expect(sent).toBeLessThan(50_000_000);
    paused[0]?.resume();
    await client.hears("done");
    expect(relay.exchanges[0]?.requestBytes).toBe(size);
  });
});

describe("a deadline", () => {
  test("ends a connection that never speaks, without a word", async () => {
    const relay = await startRelay(await startNodeUpstream(() => undefined), { limits: { keepAliveMs: 30 } });
    const client = await RawPeer.connect(relay.port);
    await client.ends();
    expect(client.heard).toBe("");
  });

  test("ends an idle connection after a request", async () => {
    const relay = await startRelay(await startNodeUpstream((_request, response) => response.end("x")), {
      limits: { keepAliveMs: 30 },
    });
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    await client.hears("\r\n\r\nx");
    await client.ends();
  });

  test("ends a head that drips in, with 408", async () => {
    const relay = await startRelay(await startNodeUpstream(() => undefined), { limits: { headMs: 60 } });
    const client = await RawPeer.connect(relay.port);
    client.say("GET / HTTP/1.1\r\n");
    const timer = setInterval(() => client.say("X: y\r\n"), 5);
    await client.ends();
    clearInterval(timer);
    expect(client.heard).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(relay.failures).toMatchObject([{ flag: "DT", status: 408 }]);
  });

  test("ends a body that stops, with 408, and cuts the upstream request", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port, { limits: { bodyIdleMs: 60 } });
    const client = await RawPeer.connect(relay.port);
    client.say(`${post}Content-Length: 10\r\n\r\nhello`);
    await client.ends();
    expect(client.heard).toMatch(/^HTTP\/1\.1 408 /);
    await (await upstream.peer(0)).ends();
  });

  test("does not end a body that waits for a slow upstream", async () => {
    const relay = await startRelay(
      await startNodeUpstream((request, response) => {
        setTimeout(() => request.resume().on("end", () => response.end("done")), 300);
      }),
      { limits: { bodyIdleMs: 100 } },
    );
    const reply = await ask({ port: relay.port, method: "POST" }, Buffer.alloc(20_000_000));
    expect(reply.body.toString()).toBe("done");
  });

  test("ends a client that takes nothing of its response", async () => {
    const relay = await startRelay(
      await startNodeUpstream((_request, response) => response.end(Buffer.alloc(50_000_000))),
      {
        limits: { bodyIdleMs: 100 },
      },
    );
    const client = await RawPeer.connect(relay.port);
    client.socket.pause();
    client.say(get);
    await eventually(() => expect(relay.connections.size).toBe(0));
    expect(relay.failures).toMatchObject([{ flag: "DT" }]);
  });

  test("does not end an upgraded connection that is silent", async () => {
    let skewMs = 0;
    let ticks = 0;
    const sweeper = new Sweeper({
      everyMs: 5,
      clock: () => {
        ticks++;
        return performance.now() + skewMs;
      },
    });
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port, { sweeper });
    const client = await RawPeer.connect(relay.port);
    client.say(upgrade);
    const server = await upstream.peer(0);
    server.say("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await client.hears("101");
    skewMs = 24 * 3600 * 1000;
    const seen = ticks;
    await eventually(() => expect(ticks).toBeGreaterThan(seen + 2));
    client.say("ping");
    await server.hears("ping");
  });
});

describe("drain", () => {
  test("ends idle connections, and lets a request finish with Connection: close", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const idle = await RawPeer.connect(relay.port);
    const busy = await RawPeer.connect(relay.port);
    busy.say(get);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    for (const connection of relay.connections) connection.drain();
    await idle.ends();
    server.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await busy.ends();
    expect(busy.heard).toContain("Connection: close\r\n\r\nok");
  });

  test("of a pool closes idle connections and those in use once they are done", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    relay.pool.drain();
    server.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    await client.hears("ok");
    await server.ends();
    expect(relay.pool.connectionCount).toBe(0);
  });
});
