// Request smuggling, end to end: whatever a client says, the upstream sees only whole requests that the relay understood, and the
// next client through the same pool gets the answer to its own request.

import type http from "node:http";
import { connect as connectTls, createServer as createTlsServer } from "node:tls";
import { describe, expect, test } from "vitest";
import { testCa } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";
import { ask, startNodeUpstream } from "./support/node-upstream.ts";
import { RawPeer } from "./support/raw-peer.ts";
import { startRelay } from "./support/relay.ts";

const smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
const post = "POST /outer HTTP/1.1\r\nHost: a\r\n";

/** Everything here is refused, or is a request whose body holds the smuggled one. */
const hostile: [why: string, text: string][] = [
  ["CL.TE", `${post}Content-Length: ${smuggled.length + 5}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${smuggled}`],
  [
    "TE.CL",
    `${post}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`,
  ],
  ["TE.TE by case", `${post}Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n\r\n0\r\n\r\n${smuggled}`],
  ["TE.0, an obscured coding", `${post}Transfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\n${smuggled}`],
  ["TE with a tab", `${post}Transfer-Encoding:\tchunked\x0b\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
  [
    "TE after a folded line",
    `${post}X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  [
    "TE after a blank before its colon",
    `${post}Transfer-Encoding : chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  ["TE behind a bare LF", `${post}X: y\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
  ["TE behind a bare CR", `${post}X: y\rTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
  ["TE behind NUL", `${post}X: y\0Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n${smuggled}`],
  ["two lengths", `${post}Content-Length: 0\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ["a length with a sign", `${post}Content-Length: +${smuggled.length}\r\n\r\n${smuggled}`],
  [
    "0.CL, a length behind Connection",
    `${post}Connection: content-length\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  ],
  ["0.CL, an expectation", `${post}Expect: y 100-continue\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ["an over-long chunk size", `${post}Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n${smuggled}`],
  ["a chunk ended by LF", `${post}Transfer-Encoding: chunked\r\n\r\n2\nab\n0\n\n${smuggled}`],
  ["a chunk extension with LF", `${post}Transfer-Encoding: chunked\r\n\r\n2;\nab\r\n0\r\n\r\n${smuggled}`],
  [
    "a coding in 1.0",
    `POST /outer HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n${smuggled}`,
  ],
  ["two Hosts", `POST /outer HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${smuggled}`],
  [
    "h2c",
    `GET /outer HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
  ],
  ["a GET with a body", `GET /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
  ["a HEAD with a body", `HEAD /outer HTTP/1.1\r\nHost: a\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`],
];

describe("after", () => {
  test.each(hostile)("%s the next client gets its own answer, and nothing was smuggled", async (_why, text) => {
    const seen: string[] = [];
    const upstream = await startNodeUpstream((request: http.IncomingMessage, response) => {
      seen.push(`${request.method} ${request.url}`);
      request.resume().on("end", () => response.end(`answer to ${request.url}`));
    });
    const relay = await startRelay(upstream, { limits: { bodyIdleMs: 100, lingerMs: 50 } });
    const attacker = await RawPeer.connect(relay.port);
    attacker.say(text);
    await eventually(() => {
      if (!attacker.isEnded && !attacker.heard.includes("HTTP/1.1 200")) throw new Error("no answer");
    });
    const replies = await Promise.all(["/1", "/2", "/3"].map((path) => ask({ port: relay.port, path })));
    expect(replies.map(({ body }) => body.toString())).toEqual(["answer to /1", "answer to /2", "answer to /3"]);
    expect(seen.filter((line) => line.includes("smuggled"))).toEqual([]);
  });
});

describe("a peer of another protocol", () => {
  test("that begins a TLS handshake is refused at once", async () => {
    const relay = await startRelay(await startNodeUpstream(() => undefined));
    const socket = connectTls({ port: relay.port, host: "127.0.0.1", rejectUnauthorized: false });
    const error = await new Promise<Error>((resolve) => socket.once("error", resolve));
    expect(error.message).toMatch(/wrong version number|packet length too long|SSL/);
    expect(relay.failures).toMatchObject([{ flag: "DPE" }]);
  });

  test("that answers plaintext where TLS was asked for is a failed connection, and nothing was sent", async () => {
    const upstream = await startNodeUpstream(() => undefined);
    const relay = await startRelay(upstream, {
      pool: { connect: () => connectTls({ port: upstream, host: "127.0.0.1", rejectUnauthorized: false }) },
    });
    const reply = await ask({ port: relay.port, method: "POST" }, "secret");
    expect(reply.status).toBe(503);
    expect(relay.failures).toMatchObject([{ flag: "UF", isUnprocessed: true }]);
  });

  test("whose certificate is refused is sent no byte of the request", async () => {
    const upstream = createTlsServer({ ...(await selfSigned()) });
    let received = 0;
    upstream.on("secureConnection", (socket) => {
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => {
        received += chunk.length;
      });
    });
    upstream.on("tlsClientError", () => undefined);
    await new Promise<void>((resolve) => upstream.listen(0, "127.0.0.1", resolve));
    const address = upstream.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const relay = await startRelay(0, {
      pool: { connect: () => connectTls({ port: address.port, host: "127.0.0.1" }) },
    });
    const reply = await ask({ port: relay.port, method: "POST" }, "secret");
    await new Promise((resolve) => upstream.close(resolve));
    expect(reply.status).toBe(503);
    expect(relay.failures).toMatchObject([{ flag: "UF", isUnprocessed: true }]);
    expect(received).toBe(0);
  });

  test("that speaks TLS as it should is served over one kept connection", async () => {
    let connections = 0;
    const secure = createTlsServer({ ...(await selfSigned()) }, (socket) => {
      connections++;
      socket.on("error", () => undefined);
      socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    });
    await new Promise<void>((resolve) => secure.listen(0, "127.0.0.1", resolve));
    const address = secure.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    const relay = await startRelay(0, {
      pool: { connect: () => connectTls({ port: address.port, host: "127.0.0.1", rejectUnauthorized: false }) },
    });
    for (let i = 0; i < 3; i++) expect((await ask({ port: relay.port })).body.toString()).toBe("ok");
    expect(connections).toBe(1);
    relay.pool.close();
    await new Promise((resolve) => secure.close(resolve));
  });
});

async function selfSigned(): Promise<{ key: string; cert: string }> {
  const { key, chain } = await (await testCa()).issue();
  return { key, cert: chain };
}
