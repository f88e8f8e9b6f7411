// A real client, two real proxies with mTLS between them, a real server.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { identityOf, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly body: Buffer;
}

async function send(pair: Pair, parts: http.RequestOptions, body?: Buffer | string): Promise<Answer> {
  const request = http.request(pair.request(parts));
  request.end(body);
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}

const echo = () =>
  http.createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks);
      const seen = {
        method: request.method,
        url: request.url,
        headers: request.headers,
        hash: hashOf(body),
        bytes: body.length,
      };
      response.setHeader("content-type", "application/json").end(JSON.stringify(seen));
    });
  });
const hashOf = (body: Buffer) => createHash("sha256").update(body).digest("hex");

test("a request arrives whole, with its trace started and the same Host", async () => {
  await using pair = await startPair(echo());
  const answer = await send(pair, { path: "/charge?x=1", method: "GET" });
  expect(answer.status).toBe(200);
  const seen = JSON.parse(answer.body.toString());
  expect(seen).toMatchObject({ method: "GET", url: "/charge?x=1", headers: { host: `payment:${pair.port}` } });
  expect(seen.headers["x-request-id"]).toMatch(/^[0-9a-f-]{36}$/);
  expect(seen.headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
});

test("a trace that came in is continued: the same trace, another parent", async () => {
  await using pair = await startPair(echo());
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
  const headers = { host: "payment", traceparent, "x-request-id": "mine" };
  const { headers: seen } = JSON.parse((await send(pair, { headers })).body.toString());
  expect(seen["x-request-id"]).toBe("mine");
  expect(seen.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-00$/);
  expect(seen.traceparent).not.toBe(traceparent);
});

test.each([0, 1, 16_383, 65_536, 1_000_000, 10_000_000])("a body of %i bytes arrives whole", async (bytes) => {
  await using pair = await startPair(echo());
  const body = randomBytes(bytes);
  const headers = { host: "payment", "content-length": bytes };
  const seen = JSON.parse((await send(pair, { method: "POST", headers }, body)).body.toString());
  expect(seen).toMatchObject({ hash: hashOf(body), bytes });
});

test("a response of 10 MB without a length arrives whole", async () => {
  const body = randomBytes(10_000_000);
  await using pair = await startPair(
    http.createServer((_request, response) => response.write(body, () => response.end())),
  );
  expect(hashOf((await send(pair, {})).body)).toBe(hashOf(body));
});

test("a thousand requests on few connections are all answered and all counted", async () => {
  await using pair = await startPair(echo());
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => send(pair, { path: `/${i}`, agent })));
  expect(
    answers.every((answer, i) => answer.status === 200 && JSON.parse(answer.body.toString()).url === `/${i}`),
  ).toBe(true);
  agent.destroy();
  for (const proxy of [pair.caller, pair.receiver]) {
    const series = proxy.counters.report().http;
    expect(series.reduce((sum, one) => sum + one.buckets.reduce((a, b) => a + b, 0), 0)).toBe(1000);
    expect(series.every((one) => one.status === 200 && one.security === "mutual_tls")).toBe(true);
  }
});

test("a caller that is not allowed gets 403 and the reason", async () => {
  await using pair = await startPair(echo());
  pair.configureReceiver({ allow: [{ from: [identityOf("website")], methods: [], paths: [] }] });
  const answer = await send(pair, { path: "/charge" });
  expect(answer.status).toBe(403);
  expect(answer.headers["x-devmesh-reason"]).toContain("payment does not allow cart to GET /charge");
  pair.configureReceiver({ allow: [{ from: [identityOf("cart")], methods: ["GET"], paths: ["/charge"] }] });
  expect((await send(pair, { path: "/charge" })).status).toBe(200);
});

test("an application that does not listen gives 503 with UF and says where", async () => {
  const app = echo();
  await using pair = await startPair(app);
  app.closeAllConnections();
  app.close();
  await once(app, "close");
  const answer = await send(pair, {});
  expect(answer.status).toBe(503);
  expect(answer.headers["x-devmesh-response-flags"]).toBe("UF");
  expect(answer.headers["x-devmesh-reason"]).toContain(`:${pair.port}`);
});

test("a service without an endpoint gives 503 with UH; with waitForEndpoints the request waits for one", async () => {
  await using pair = await startPair(echo());
  const service = serviceConfig("payment", pair.port);
  pair.configureCaller(service, [{ ...pair.endpoint, isBalanced: false }]);
  const answer = await send(pair, {});
  expect([answer.status, answer.headers["x-devmesh-response-flags"]]).toEqual([503, "UH"]);
  expect(answer.headers["x-devmesh-reason"]).toBe("payment has no running, ready container");
  const patient = { ...service, waitForEndpointsMs: 10_000 };
  pair.configureCaller(patient, []);
  const waiting = send(pair, { method: "POST", headers: { host: "payment", "content-length": 4 } }, "body");
  await eventually(() => expect(pair.caller.connections.size).toBeGreaterThan(0));
  pair.configureCaller(patient);
  expect(JSON.parse((await waiting).body.toString())).toMatchObject({ method: "POST", bytes: 4 });
});

test("a subset that nobody declared gives 503 with NC", async () => {
  await using pair = await startPair(echo());
  const service = serviceConfig("payment", pair.port);
  const destinations = [{ service: "payment", subset: "v9", port: null, weight: 1 }];
  pair.configureCaller({ ...service, routes: service.routes.map((route) => ({ ...route, destinations })) });
  const answer = await send(pair, {});
  expect([answer.status, answer.headers["x-devmesh-response-flags"]]).toEqual([503, "NC"]);
});

test("an endpoint that leaves the list fails what is under way to it at once, one that is only unready finishes it", async () => {
  const responses: http.ServerResponse[] = [];
  await using pair = await startPair(http.createServer((_request, response) => responses.push(response)));
  const service = serviceConfig("payment", pair.port);
  const finished = send(pair, { path: "/finished" });
  await eventually(() => expect(responses.length).toBe(1));
  pair.configureCaller(service, [{ ...pair.endpoint, isBalanced: false }]);
  responses[0]?.end("whole");
  expect((await finished).body.toString()).toBe("whole");
  pair.configureCaller(service);
  const cut = send(pair, { path: "/cut" });
  await eventually(() => expect(responses.length).toBe(2));
  pair.configureCaller(service, []);
  const answer = await cut;
  expect([answer.status, answer.headers["x-devmesh-response-flags"]]).toEqual([503, "UC"]);
});

test("a timeout of the route gives 504 with UT", async () => {
  await using pair = await startPair(http.createServer(() => undefined));
  const service = serviceConfig("payment", pair.port);
  pair.configureCaller({ ...service, routes: service.routes.map((route) => ({ ...route, timeoutMs: 50 })) });
  const answer = await send(pair, {});
  expect([answer.status, answer.headers["x-devmesh-response-flags"]]).toEqual([504, "UT"]);
});

test("a client that goes away cancels its request at the application", async () => {
  const aborted = Promise.withResolvers<void>();
  await using pair = await startPair(
    http.createServer((_request, response) => {
      response.on("close", () => aborted.resolve());
      response.flushHeaders();
    }),
  );
  const request = http.request(pair.request());
  request.on("error", () => undefined);
  request.end();
  await once(request, "response");
  request.destroy();
  await aborted.promise;
  await eventually(() => expect(pair.caller.counters.report().http.some((series) => series.flags === "DC")).toBe(true));
});

test("an upgrade becomes a byte stream both ways, half-close kept, and survives a reload", async () => {
  const app = http.createServer();
  app.on("upgrade", (_request, socket: net.Socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello");
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => socket.end("bye"));
  });
  await using pair = await startPair(app);
  const request = http.request(pair.request({ headers: { host: "payment", connection: "Upgrade", upgrade: "echo" } }));
  request.end();
  const [, socket, head] = (await once(request, "upgrade")) as [http.IncomingMessage, net.Socket, Buffer];
  let text = head.toString();
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  socket.write("one");
  await eventually(() => expect(text).toBe("helloone"));
  pair.configureCaller(serviceConfig("payment", pair.port, { waitForEndpointsMs: 1 }));
  socket.write("two");
  await eventually(() => expect(text).toBe("helloonetwo"));
  socket.end();
  await once(socket, "end");
  expect(text).toBe("helloonetwobye");
});

test("TCP goes through whole, with half-close", async () => {
  const app = net.createServer({ allowHalfOpen: true }, (socket) => {
    const hash = createHash("sha256");
    socket.on("data", (chunk) => hash.update(chunk));
    socket.on("end", () => socket.end(hash.digest("hex")));
  });
  await using pair = await startPair(app, "tcp");
  const body = randomBytes(10_000_000);
  const socket = net.connect({ host: pair.caller.address, port: pair.caller.outboundPort, allowHalfOpen: true });
  socket.end(body);
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  expect(text).toBe(hashOf(body));
});

test("a server that speaks first does not wait for its client on a port that is sniffed", async () => {
  const app = net.createServer((socket) => socket.on("error", () => socket.destroy()).end("220 ready\r\n"));
  await using pair = await startPair(app, "auto");
  const socket = net.connect(pair.caller.outboundPort, pair.caller.address);
  const [chunk] = await once(socket, "data");
  expect(String(chunk)).toBe("220 ready\r\n");
  socket.destroy();
});

test("a plaintext neighbour is reset under strict mTLS", async () => {
  await using pair = await startPair(echo());
  pair.receiver.dialled = { address: pair.receiver.address, port: pair.port };
  const socket = net.connect(pair.receiver.inboundPort, pair.receiver.address);
  socket.write("GET / HTTP/1.1\r\nHost: payment\r\n\r\n");
  const failed = once(socket, "error");
  socket.on("error", () => undefined);
  const [error] = await failed;
  expect(error.code).toBe("ECONNRESET");
});

test("connects to the proxy's own port are closed and counted", async () => {
  await using pair = await startPair(echo());
  pair.caller.dialled = { address: pair.caller.address, port: 15001 };
  const socket = net.connect(pair.caller.outboundPort, pair.caller.address);
  socket.resume();
  await once(socket, "close");
  expect(pair.caller.counters.report().proxy.loopsClosed).toBe(1);
});
