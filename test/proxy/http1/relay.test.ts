// Server connection and pool together, in front of a real node:http server.
import { createHash, randomBytes } from "node:crypto";
import http from "node:http";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { ask, startNodeUpstream } from "./support/node-upstream.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { startRelay } from "./support/relay.ts";

const sha = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

async function echo(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
  const { "content-length": length } = request.headers;
  response.writeHead(200, {
    "x-method": request.method,
    "x-url": request.url,
    ...(length === undefined ? {} : { "content-length": length }),
  });
  await pipeline(request, response);
}

const echoing: http.RequestListener = (request, response) => {
  echo(request, response).catch(() => response.destroy());
};

describe("through the relay", () => {
  test.each([
    ["empty", 0],
    ["of a byte", 1],
    ["of 8 KiB", 8 * 1024],
    ["of 8 KiB and a byte", 8 * 1024 + 1],
    ["of 10 MB", 10_000_000],
  ])("a body %s with a length comes back whole", async (_why, size) => {
    const relay = await startRelay(await startNodeUpstream(echoing));
    const body = randomBytes(size);
    const reply = await ask(
      { port: relay.port, method: "POST", path: "/a?b", headers: { "content-length": size } },
      body,
    );
    expect(reply.headers).toMatchObject({ "x-method": "POST", "x-url": "/a?b", "content-length": String(size) });
    expect(sha(reply.body)).toBe(sha(body));
  });

  test("10 MB chunked both ways come back whole", async () => {
    const relay = await startRelay(await startNodeUpstream(echoing));
    const body = randomBytes(10_000_000);
    const reply = await new Promise<{ headers: http.IncomingHttpHeaders; body: Buffer }>((resolve, reject) => {
      const request = http.request(
        { port: relay.port, method: "POST", headers: { "transfer-encoding": "chunked" } },
        (response) => {
          const chunks: Buffer[] = [];
          response.on("data", (chunk: Buffer) => chunks.push(chunk));
          response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks) }));
        },
      );
      request.on("error", reject);
      for (let at = 0, size = 1; at < body.length; at += size, size = (size * 3) % 100_003)
        request.write(body.subarray(at, at + size));
      request.end();
    });
    expect(reply.headers["transfer-encoding"]).toBe("chunked");
    expect(sha(reply.body)).toBe(sha(body));
  });

  test("requests of one client connection use one upstream connection", async () => {
    let upstreamConnections = 0;
    const upstream = await startNodeUpstream(echoing, (server) => server.on("connection", () => upstreamConnections++));
    const relay = await startRelay(upstream);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 20; i++)
      expect((await ask({ port: relay.port, agent, path: `/${i}` })).headers["x-url"]).toBe(`/${i}`);
    expect(upstreamConnections).toBe(1);
    expect(relay.connections.size).toBe(1);
    expect(relay.pool.idleCount).toBe(1);
    agent.destroy();
  });

  test("HEAD keeps the length and has no body", async () => {
    const upstream = await startNodeUpstream((_request, response) =>
      response.writeHead(200, { "content-length": 1234 }).end(),
    );
    const relay = await startRelay(upstream);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let i = 0; i < 2; i++) {
      const reply = await ask({ port: relay.port, agent, method: "HEAD" });
      expect(reply.headers["content-length"]).toBe("1234");
      expect(reply.body).toHaveLength(0);
    }
    agent.destroy();
    expect(relay.pool.connectionCount).toBe(1);
  });

  test.each([
    [204, undefined],
    [304, "99"],
  ])("a %i has no body and the connection goes on", async (status, declared) => {
    const headers = declared === undefined ? {} : { "content-length": declared };
    const relay = await startRelay(
      await startNodeUpstream((_request, response) => response.writeHead(status, headers).end()),
    );
    const peer = await RawPeer.connect(relay.port);
    for (let i = 1; i <= 2; i++) {
      peer.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      await eventually(() => expect(peer.heard.split("\r\n\r\n").length - 1).toBe(i));
    }
    expect(peer.heard).not.toContain("chunked");
    expect(peer.heard.includes("ontent-Length: 99")).toBe(declared !== undefined);
  });

  test("fields keep their order, spelling and repetition both ways", async () => {
    const upstream = await startNodeUpstream((request, response) => {
      response.writeHead(200, [
        "Set-Cookie",
        "a=1",
        "X-Zed",
        "\xe9",
        "set-cookie",
        "b=2",
        "X-Saw",
        request.rawHeaders.join("|"),
      ]);
      response.end("x");
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    peer.say(
      "GET / HTTP/1.1\r\nhost: shop\r\nX-B: 1\r\nAccept: */*\r\nx-b:   2\r\nConnection: keep-alive, x-gone\r\nX-Gone: 1\r\n\r\n",
    );
    await peer.hears("\r\n\r\n1\r\nx\r\n0\r\n\r\n");
    expect(peer.heard).toContain(
      "Set-Cookie: a=1\r\nX-Zed: \xe9\r\nset-cookie: b=2\r\nX-Saw: Host|shop|X-B|1|Accept|*/*|x-b|2\r\n",
    );
  });

  test("100 Continue is the upstream's, and the body goes up after it", async () => {
    let isAsked = false;
    const upstream = await startNodeUpstream(echoing, (server) => {
      server.on("checkContinue", (request: http.IncomingMessage, response: http.ServerResponse) => {
        isAsked = true;
        response.writeContinue();
        echoing(request, response);
      });
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    peer.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    await peer.hears("HTTP/1.1 100 Continue\r\n\r\n");
    expect(isAsked).toBe(true);
    expect(peer.heard).not.toContain("200");
    peer.say("hello");
    await peer.hears("\r\n\r\nhello");
    expect(peer.isEnded).toBe(false);
  });

  test("a refusal instead of 100 Continue ends the client's connection, since its body may or may not come", async () => {
    const upstream = await startNodeUpstream(echoing, (server) => {
      server.on("checkContinue", (_request: http.IncomingMessage, response: http.ServerResponse) =>
        response.writeHead(413).end(),
      );
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    peer.say("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
    await peer.hears("HTTP/1.1 413");
    await peer.ends();
    expect(peer.heard).toContain("Connection: close\r\n");
    await eventually(() => expect(relay.pool.connectionCount).toBe(0));
  });

  test("103 Early Hints go through before the response", async () => {
    const upstream = await startNodeUpstream((_request, response) => {
      response.writeEarlyHints({ link: "</a.css>; rel=preload" }, () => response.end("x"));
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    peer.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await peer.hears("Content-Length: 1\r\n\r\nx");
    expect(peer.heard).toMatch(
      /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/i,
    );
    const old = await RawPeer.connect(relay.port);
    old.say("GET / HTTP/1.0\r\n\r\n");
    await old.ends();
    expect(old.heard).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
  });

  test("trailers go up always, and down to a client that said TE: trailers", async () => {
    let received: NodeJS.Dict<string> = {};
    const upstream = await startNodeUpstream((request, response) => {
      request.resume();
      request.on("end", () => {
        received = request.trailers;
        response.writeHead(200, { trailer: "x-sum", "x-te": String(request.headers.te) });
        response.write("x");
        response.addTrailers({ "x-sum": "7" });
        response.end();
      });
    });
    const relay = await startRelay(upstream);
    for (const te of ["TE: trailers\r\n", ""]) {
      const peer = await RawPeer.connect(relay.port);
      peer.say(
        `POST / HTTP/1.1\r\nHost: a\r\n${te}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nX-Up: 1\r\nHost: evil\r\n\r\n`,
      );
      await peer.hears(te === "" ? "0\r\n\r\n" : "0\r\nx-sum: 7\r\n\r\n");
      expect(received).toEqual({ "x-up": "1" });
      expect(peer.heard).toContain(te === "" ? "x-te: undefined" : "x-te: trailers");
    }
  });

  test("a 1.0 client gets an unknown length until close, and keep-alive only where it asked and a length is known", async () => {
    const upstream = await startNodeUpstream((request, response) => {
      if (request.url === "/length") response.setHeader("content-length", 2);
      response.write("h");
      response.end("i");
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    peer.say("GET /length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await peer.hears("Connection: keep-alive\r\n\r\nhi");
    peer.heard = "";
    peer.say("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    await peer.ends();
    expect(peer.heard).toContain("Connection: close\r\n\r\nhi");
    expect(peer.heard).not.toContain("chunked");
  });

  test("pipelined requests are answered in order, and a bad one cancels none before it", async () => {
    const upstream = await startNodeUpstream((request, response) => {
      setTimeout(() => response.end(request.url), request.url === "/0" ? 50 : 0);
    });
    const relay = await startRelay(upstream);
    const peer = await RawPeer.connect(relay.port);
    const one = (i: number): string => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`;
    peer.say(
      `${one(0)}${one(1)}POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc${one(3)}GET /4 HTTP/1.1\r\nHost : a\r\n\r\n${one(5)}`,
    );
    await peer.ends();
    expect(peer.heard.match(/\r\n\r\n\/\d/g)).toEqual(["\r\n\r\n/0", "\r\n\r\n/1", "\r\n\r\n/2", "\r\n\r\n/3"]);
    const last = peer.heard.slice(peer.heard.indexOf("\r\n\r\n/3"));
    expect(last).toContain("HTTP/1.1 400 Bad Request\r\n");
    expect(last).toContain("x-devmesh-response-flags: DPE\r\n");
    expect(last).toMatch(/x-devmesh-reason: bad request: a blank between a field's name and its colon/);
    expect(relay.exchanges).toHaveLength(4);
    expect(relay.failures).toMatchObject([{ flag: "DPE", status: 400, detail: "http1.codec_error" }]);
  });

  test("a thousand pipelined requests are answered", async () => {
    const relay = await startRelay(await startNodeUpstream((_request, response) => response.end("x")));
    const peer = await RawPeer.connect(relay.port);
    peer.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(999));
    peer.say("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    await peer.ends();
    expect(peer.heard.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(1000);
  });
});
