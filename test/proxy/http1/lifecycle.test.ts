// How connections end: upgrades, half-closes, aborts.
import type net from "node:net";
import { describe, expect, test } from "vitest";
import { Fields } from "../../../proxy/http/fields.ts";
import { defaultLimits } from "../../../proxy/http1/limits.ts";
import { serveHttp1 } from "../../../proxy/http1/server-connection.ts";
import { eventually } from "../../support/eventually.ts";
import { startNodeUpstream } from "./support/node-upstream.ts";
import { listen, RawPeer, startRawUpstream } from "./support/raw-peer.ts";
import { startRelay } from "./support/relay.ts";

const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const post = "POST / HTTP/1.1\r\nHost: a\r\n";
const upgrade =
  "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n";

describe("an upgraded connection", () => {
  test("is a splice: bytes both ways, leftovers forwarded, each direction closed for itself", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    // Impatient: the first bytes of the new protocol come with the request.
    client.say(`${upgrade}early`);
    const server = await upstream.peer(0);
    await server.hears("Sec-WebSocket-Key: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    expect(server.heard).not.toContain("early");
    server.say("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-A: 1\r\n\r\nhello");
    await client.hears("X-A: 1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello");
    await server.hears("\r\n\r\nearly");
    client.say("ping");
    await server.hears("earlyping");
    client.socket.end();
    await server.ends();
    server.say("still here");
    await client.hears("still here");
    server.socket.end();
    await client.ends();
    await eventually(() => expect(relay.connections.size).toBe(0));
    expect(relay.pool.connectionCount).toBe(0);
    expect(relay.failures).toEqual([]);
  });

  test("also closes upstream's side first", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(upgrade);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nbye");
    server.socket.end();
    await client.ends();
    expect(client.heard).toContain("\r\n\r\nbye");
    client.say("last words");
    await server.hears("last words");
    client.socket.end();
    await eventually(() => expect(relay.pool.connectionCount).toBe(0));
    expect(relay.failures).toEqual([]);
  });

  test.each(["client", "server"])("is reset on the other side when the %s resets it", async (who) => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(upgrade);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say("HTTP/1.1 101 S\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await client.hears("101");
    const [rude, other] = who === "client" ? [client, server] : [server, client];
    rude.socket.resetAndDestroy();
    await other.closes();
    expect(other.error?.code).toBe("ECONNRESET");
    expect(relay.failures).toMatchObject([{ flag: who === "client" ? "DC" : "UC" }]);
  });

  test("that the upstream refuses is an ordinary exchange, and what the client sent ahead is its next request", async () => {
    const upstream = await startNodeUpstream((request, response) => response.end(`plain ${request.url}`));
    const relay = await startRelay(upstream);
    const client = await RawPeer.connect(relay.port);
    client.say(`${upgrade}GET /next HTTP/1.1\r\nHost: a\r\n\r\n`);
    await client.hears("plain /next");
    expect(client.heard).toContain("plain /chat");
  });
});

describe("an abort", () => {
  test("of the client in its request body reaches the upstream, which never sees a clean end", async () => {
    let received = "";
    let isAborted = false;
    let isEnded = false;
    const upstream = await startNodeUpstream((request) => {
      request.on("data", (chunk: Buffer) => {
        received += chunk.toString();
      });
      request.on("end", () => {
        isEnded = true;
      });
      request.on("error", () => {
        isAborted = true;
      });
    });
    const relay = await startRelay(upstream);
    for (const framing of ["Content-Length: 10\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]) {
      received = "";
      isAborted = false;
      const client = await RawPeer.connect(relay.port);
      client.say(post + framing);
      await eventually(() => expect(received).toBe("hello"));
      client.socket.end();
      await eventually(() => expect(isAborted).toBe(true));
      await client.closes();
    }
    expect(isEnded).toBe(false);
    expect(relay.failures).toMatchObject([{ flag: "DC" }, { flag: "DC" }]);
    await eventually(() => expect(relay.pool.connectionCount).toBe(0));
  });

  test.each([
    ["by a reset", (socket: net.Socket) => socket.resetAndDestroy()],
    ["by a close", (socket: net.Socket) => socket.destroy()],
  ])("of a client that waits for its response %s cancels the upstream request", async (_how, leave) => {
    let isClosed = false;
    const upstream = await startNodeUpstream((_request, response) => response.on("close", () => (isClosed = true)));
    const relay = await startRelay(upstream, { limits: { halfCloseMs: 50 } });
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    await eventually(() => expect(relay.pool.connectionCount).toBe(1));
    await eventually(() => expect(relay.exchanges).toHaveLength(1));
    leave(client.socket);
    await eventually(() => expect(isClosed).toBe(true));
    expect(relay.failures).toMatchObject([{ flag: "DC" }]);
  });

  test("of a client that leaves in the middle of a silent response cancels it too", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port, { limits: { halfCloseMs: 50 } });
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await client.hears("hello");
    client.socket.destroy();
    await server.ends();
    expect(relay.failures).toMatchObject([{ flag: "DC" }]);
  });

  test.each([
    ["length", "Content-Length: 10\r\n\r\nhello"],
    ["chunks", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
  ])("of the upstream in a body with %s is never a clean end for the client", async (_why, framing) => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say(`HTTP/1.1 200 OK\r\n${framing}`);
    await client.hears("hello");
    server.socket.end();
    await client.ends();
    expect(client.heard).not.toContain("\r\n0\r\n\r\n");
    expect(relay.failures).toMatchObject([{ flag: "UC", isUnprocessed: false }]);
  });

  test("of the upstream in a body until close resets a 1.0 client, for which a close would be a clean end", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say("GET / HTTP/1.0\r\n\r\n");
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say("HTTP/1.1 200 OK\r\n\r\nhello");
    await client.hears("hello");
    server.socket.resetAndDestroy();
    await client.closes();
    expect(client.error?.code).toBe("ECONNRESET");
  });

  test("a body that ends with the upstream's connection ends cleanly, chunked for a 1.1 client", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    const server = await upstream.peer(0);
    await server.hears("\r\n\r\n");
    server.say("HTTP/1.0 200 OK\r\n\r\nhello");
    await client.hears("5\r\nhello\r\n");
    server.socket.end(" you");
    await client.hears("4\r\n you\r\n0\r\n\r\n");
    expect(relay.failures).toEqual([]);
  });

  test("a bad chunk cuts the upstream request and answers 400 where nothing was answered", async () => {
    const upstream = await startRawUpstream();
    const relay = await startRelay(upstream.port);
    const client = await RawPeer.connect(relay.port);
    client.say(`${post}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nX`);
    const server = await upstream.peer(0);
    await server.ends();
    expect(server.heard).not.toContain("0\r\n\r\n");
    await client.ends();
    expect(client.heard).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(relay.failures).toMatchObject([{ flag: "DPE", status: 400 }]);
  });
});

describe("a client that closes its sending side", () => {
  test("still gets its response", async () => {
    const relay = await startRelay(
      await startNodeUpstream((_request, response) => setTimeout(() => response.end("late"), 100)),
    );
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    client.socket.end();
    await client.closes();
    expect(client.heard).toContain("late");
    expect(relay.failures).toEqual([]);
  });

  test("gets a response that goes on, however long that takes", async () => {
    const relay = await startRelay(
      await startNodeUpstream((_request, response) => {
        let sent = 0;
        const timer = setInterval(() => {
          if (++sent < 10) {
            response.write("part");
          } else {
            clearInterval(timer);
            response.end("end");
          }
        }, 50);
      }),
      { limits: { halfCloseMs: 300 } },
    );
    const client = await RawPeer.connect(relay.port);
    client.say(get);
    client.socket.end();
    await client.closes();
    expect(client.heard).toContain("3\r\nend\r\n0\r\n\r\n");
    expect(relay.failures).toEqual([]);
  });

  test("before its bytes were handed over still gets its response", async () => {
    const clients: net.Socket[] = [];
    const answers: string[] = [];
    const port = await listen((socket) => {
      // Like a sniffer that read too far: data and FIN are gone from the socket when it is served.
      let initial = Buffer.alloc(0);
      socket.on("data", (chunk: Buffer) => {
        initial = Buffer.concat([initial, chunk]);
      });
      socket.once("end", () => {
        socket.removeAllListeners("data");
        serveHttp1(socket, {
          peer: { address: "", identity: null },
          scheme: "http",
          limits: defaultLimits,
          initial,
          onRequest: (stream) => {
            answers.push(stream.head.target);
            stream.respond({ status: 204, reason: "No", fields: new Fields(), bodyLength: 0, declaredLength: -1 });
            stream.end(null);
          },
          onClose: () => clients.push(socket),
        });
      });
    });
    const client = await RawPeer.connect(port);
    client.socket.end("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.closes();
    expect(client.heard.match(/204/g)).toHaveLength(2);
    expect(answers).toEqual(["/a", "/b"]);
    await eventually(() => expect(clients).toHaveLength(1));
  });

  test("between requests, or in the middle of a head, is let go", async () => {
    const relay = await startRelay(await startNodeUpstream((_request, response) => response.end("x")));
    for (const start of ["", "GET / HT", get]) {
      const client = await RawPeer.connect(relay.port);
      client.say(start);
      if (start === get) await client.hears("\r\n\r\nx");
      client.socket.end();
      await client.closes();
      expect(client.error).toBe(null);
    }
  });
});
