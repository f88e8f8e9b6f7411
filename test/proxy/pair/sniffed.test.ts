// Connections whose protocol or destination shows only in their first bytes.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { freshAddress, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

const app = () => http.createServer((request, response) => response.end(`payment got ${request.url}`));

/** A server that the mesh does not know, at a port on which the mesh speaks HTTP; answers with the first line that it gets. */
async function stranger(pair: Pair): Promise<void> {
  const address = freshAddress();
  const server = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk) => socket.end(`stranger got ${String(chunk).split("\r\n")[0]}`));
  });
  server.listen(pair.port, address);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  pair.caller.dialled = { address, port: pair.port };
}

async function say(to: { host: string; port: number }, ...texts: string[]): Promise<string> {
  const socket = net.connect(to);
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk) => {
    text += chunk;
  });
  for (const one of texts) {
    const before = text.length;
    socket.write(one);
    await eventually(() => expect(text.length).toBeGreaterThan(before));
  }
  return text;
}

const outbound = ({ caller }: Pair) => ({ host: caller.address, port: caller.outboundPort });

test("to an unknown address the Host may still name a service; what it does not is passed on as it is", async () => {
  await using pair = await startPair(app());
  await stranger(pair);
  expect(await say(outbound(pair), "GET /a HTTP/1.1\r\nHost: payment\r\n\r\n")).toContain("payment got /a");
  expect(await say(outbound(pair), "GET /a HTTP/1.1\r\nHost: x.com\r\n\r\n")).toBe("stranger got GET /a HTTP/1.1");
});

test("a request to an HTTP proxy is the proxy's, also when it is about a service of the mesh", async () => {
  await using pair = await startPair(app());
  await stranger(pair);
  const text = await say(outbound(pair), "GET http://payment/a HTTP/1.1\r\nHost: payment\r\n\r\n");
  expect(text).toBe("stranger got GET http://payment/a HTTP/1.1");
});

test("a later request on such a connection is for the service that it names itself, or for none", async () => {
  await using pair = await startPair(app());
  await stranger(pair);
  const text = await say(
    outbound(pair),
    "GET /a HTTP/1.1\r\nHost: payment\r\n\r\n",
    "GET /b HTTP/1.1\r\nHost: x.com\r\n\r\n",
  );
  expect(text).toContain("payment got /a");
  expect(text).toContain("404 Not Found");
  expect(text).not.toContain("payment got /b");
});

test("plaintext for an HTTP proxy of the mesh reaches it as it was said", async () => {
  const lines: string[] = [];
  const proxy = net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk) => {
      lines.push(String(chunk).split("\r\n")[0] ?? "");
      socket.end("HTTP/1.1 200 OK\r\n\r\n");
    });
  });
  await using pair = await startPair(proxy, "auto");
  pair.configureReceiver({ mtls: "permissive" });
  const { receiver } = pair;
  receiver.dialled = { address: receiver.address, port: pair.port };
  const inbound = { host: receiver.address, port: receiver.inboundPort };
  for (const line of ["CONNECT x.com:443 HTTP/1.1", "GET http://x.com/ HTTP/1.1"]) {
    expect(await say(inbound, `${line}\r\nHost: x.com\r\n\r\n`)).toBe("HTTP/1.1 200 OK\r\n\r\n");
  }
  expect(lines).toEqual(["CONNECT x.com:443 HTTP/1.1", "GET http://x.com/ HTTP/1.1"]);
});

test("a client that goes away while its request waits for a container is forgotten at once", async () => {
  await using pair = await startPair(app());
  const patient = serviceConfig("payment", pair.port, { waitForEndpointsMs: 60_000 });
  pair.configureCaller(patient, []);
  const socket = net.connect(outbound(pair));
  socket.on("error", () => undefined);
  socket.write("POST / HTTP/1.1\r\nHost: payment\r\nContent-Length: 100\r\n\r\nhalf");
  await eventually(() => expect(pair.caller.connections.size).toBe(1));
  socket.destroy();
  await eventually(() => {
    expect(pair.caller.counters.report().http).toMatchObject([{ flags: "DC", status: 0 }]);
    expect(pair.caller.connections.size).toBe(0);
  });
});

test("an address of the mesh's network that means nothing is refused at once, with a reason", async () => {
  await using pair = await startPair(app());
  pair.caller.dialled = { address: "10.213.77.7", port: pair.port };
  expect(await say(outbound(pair), "GET /a HTTP/1.1\r\nHost: gone\r\n\r\n")).toContain("404 Not Found");
  pair.caller.dialled = { address: "10.213.77.7", port: 6379 };
  const socket = net.connect(outbound(pair));
  await expect(once(socket, "close")).rejects.toThrow("ECONNRESET");
  expect(pair.caller.flushLog().at(-1)).toContain("10.213.77.7:6379 is no service that this workload may reach");
  expect(pair.caller.counters.report().tcp).toMatchObject([{ destinationService: "BlackHoleCluster", flags: "NR" }]);
});

test("a server that speaks first is not waited for at a well-known port that its service does not list", async () => {
  const greeter = net.createServer((socket) => socket.on("error", () => socket.destroy()).end("220 ready\r\n"));
  await using pair = await startPair(greeter);
  const mail = net.createServer((socket) => socket.on("error", () => socket.destroy()).end("220 mail\r\n"));
  mail.listen(2525, pair.receiver.address);
  await once(mail, "listening");
  onTestFinished(() => void mail.close());
  pair.caller.dialled = { address: pair.caller.dialled.address, port: 2525 };
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const started = performance.now();
    const socket = net.connect(outbound(pair));
    onTestFinished(() => void socket.destroy());
    const [chunk] = await once(socket, "data");
    times.push(performance.now() - started);
    expect(String(chunk)).toBe("220 mail\r\n");
  }
  console.log(`first byte of a server that speaks first: ${times.map((ms) => Math.round(ms)).join(", ")} ms`);
  // The sniffing limit alone is 200 ms; one of five is quick on the busiest machine.
  expect(Math.min(...times)).toBeLessThan(180);
});
