import { once } from "node:events";
import net from "node:net";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { recognise, sniff } from "../../../proxy/tcp/sniff.ts";

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

describe("recognise", () => {
  test.each([
    ["a GET is HTTP/1", "GET / HTTP/1.1\r\n", "http1"],
    ["a method and the first byte of a target are enough", "DELETE /", "http1"],
    ["a method of its own making", "M-SEARCH * HTTP/1.1", "http1"],
    ["the absolute form", "GET http://payment/ HTTP/1.1", "http1"],
    ["the absolute form in capitals", "GET HTTPS://payment/", "http1"],
    ["CONNECT and its authority", "CONNECT payment:443 HTTP/1.1", "http1"],
    ["the longest registered method", "UPDATEREDIRECTREF /a", "http1"],
    ["half a method tells nothing yet", "GE", null],
    ["a method tells nothing yet", "GET", null],
    ["a method and a space tell nothing yet", "GET ", null],
    ["half a scheme tells nothing yet", "GET htt", null],
    ["the preface of HTTP/2", preface, "http2-preface"],
    ["the preface and its settings", `${preface}\0\0\0`, "http2-preface"],
    ["half a preface tells nothing yet", preface.slice(0, 15), null],
    ["PRI with a path is HTTP/1", "PRI /a", "http1"],
    ["a ClientHello", "\x16\x03\x01\x02\x00\x01", "tls"],
    ["five bytes of a record tell nothing yet", "\x16\x03\x01\x02\x00", null],
    ["a record of another handshake message", "\x16\x03\x01\x02\x00\x02", "unknown"],
    ["another protocol that begins with 0x16", "\x16\x05", "unknown"],
    ["Redis", "*1\r\n$4\r\nPING\r\n", "unknown"],
    ["Redis inline", "PING\r\n", "unknown"],
    ["memcached", "get key\r\n", "unknown"],
    ["IRC", "NICK peer\r\n", "unknown"],
    ["IRC, a nick like a scheme", "NICK hank\r\n", "unknown"],
    ["SMTP", "EHLO example.com\r\n", "unknown"],
    ["Postgres' startup", "\0\0\0\x08\x04\xd2\x16\x2f", "unknown"],
    ["an endless word", "A".repeat(24), "unknown"],
    ["nothing", "", null],
  ])("%s", (_why, text, expected) => {
    expect(recognise(Buffer.from(text, "latin1"))).toBe(expected);
  });

  test("a decision is made within 32 bytes and does not depend on how the bytes come", () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ minLength: 32 }), fc.string({ minLength: 32 })), (input) => {
        const bytes = Buffer.from(input as string);
        expect(recognise(bytes)).not.toBeNull();
        let first: string | null = null;
        for (let length = 1; length <= bytes.length && first === null; length++)
          first = recognise(bytes.subarray(0, length));
        expect(first).toBe(recognise(bytes));
      }),
    );
  });
});

async function accepted(): Promise<{ client: net.Socket; server: net.Socket }> {
  const listener = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const client = net.connect({ port: (listener.address() as net.AddressInfo).port, allowHalfOpen: true });
  const [server] = (await once(listener, "connection")) as [net.Socket];
  for (const socket of [client, server]) socket.on("error", () => socket.destroy());
  onTestFinished(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  return { client, server };
}

describe("sniff", () => {
  test("hands back what it read and leaves the rest in a paused socket", async () => {
    const { client, server } = await accepted();
    const sniffed = sniff(server, { timeoutMs: 5000 });
    client.write("GE");
    client.write("T / HTTP/1.1\r\n");
    const { kind, bytes } = await sniffed;
    expect(kind).toBe("http1");
    expect(server.isPaused()).toBe(true);
    client.end("\r\nbody");
    let text = bytes.toString();
    for await (const chunk of server) text += chunk;
    expect(text).toBe("GET / HTTP/1.1\r\n\r\nbody");
  });

  test("times out on a client that waits for the server, with what it had said", async () => {
    const { client, server } = await accepted();
    client.write("GE");
    expect(await sniff(server, { timeoutMs: 50 })).toEqual({ kind: "timeout", bytes: Buffer.from("GE") });
    server.write("220 hello\r\n");
    expect(String(await once(client, "data"))).toContain("220");
  });

  test("takes an end without bytes for a client that only wants to read", async () => {
    const { client, server } = await accepted();
    client.end();
    expect((await sniff(server, { timeoutMs: 5000 })).kind).toBe("unknown");
  });

  test("says closed when the client is gone", async () => {
    const { client, server } = await accepted();
    client.write("GE");
    client.resetAndDestroy();
    expect((await sniff(server, { timeoutMs: 5000 })).kind).toBe("closed");
    expect((await sniff(server, { timeoutMs: 5000 })).kind).toBe("closed");
  });

  test("leaves no listener and no timer behind", async () => {
    const { client, server } = await accepted();
    const before = server.listenerCount("error") + server.listenerCount("close") + server.listenerCount("end");
    client.write("hello");
    await sniff(server, { timeoutMs: 5000 });
    expect(server.listenerCount("error") + server.listenerCount("close") + server.listenerCount("end")).toBe(before);
    expect(server.listenerCount("data")).toBe(0);
  });
});
