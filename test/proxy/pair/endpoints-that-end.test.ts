// What becomes of requests and connections when the container that they lead to ends, moves, or is not there yet.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { freshAddress, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

async function get(pair: Pair): Promise<{ status: number; flags: string; reason: string; body: string }> {
  const request = http.request(pair.request({ agent: false }));
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response.setEncoding("utf8")) body += chunk;
  const text = (name: string): string => String(response.headers[name] ?? "");
  const [flags, reason] = [text("x-devmesh-response-flags"), text("x-devmesh-reason")];
  return { status: response.statusCode ?? 0, flags, reason, body };
}

const held = () => {
  const responses: http.ServerResponse[] = [];
  return { responses, app: http.createServer((_request, response) => responses.push(response)) };
};

/** A TCP service that answers with what it gets. */
const parrot = () =>
  net.createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => socket.write(chunk));
  });

test("the proxy of a container that ended is heard out: an answer that is on its way arrives", async () => {
  const { responses, app } = held();
  await using pair = await startPair(app);
  const answer = get(pair);
  await eventually(() => expect(responses).toHaveLength(1));
  pair.configureCaller(serviceConfig("payment", pair.port), []);
  responses[0]?.end("in time");
  expect(await answer).toMatchObject({ status: 200, body: "in time" });
});

test("a container that was started anew at its old address gets new connections, and what it had fails", async () => {
  const { responses, app } = held();
  await using pair = await startPair(app);
  const lost = get(pair);
  await eventually(() => expect(responses).toHaveLength(1));
  pair.configureCaller(serviceConfig("payment", pair.port), [{ ...pair.endpoint, startedAt: "t2" }]);
  expect(await lost).toMatchObject({ status: 503, flags: "UC", reason: expect.stringContaining("was restarted") });
  const next = get(pair);
  await eventually(() => expect(responses).toHaveLength(2));
  responses[1]?.end("anew");
  expect(await next).toMatchObject({ status: 200, body: "anew" });
});

test("a request waits for an application that refuses, as long as its service says", async () => {
  const app = http.createServer((_request, response) => response.end("here"));
  await using pair = await startPair(app);
  app.close();
  await once(app, "close");
  const service = serviceConfig("payment", pair.port, { waitForEndpointsMs: 300 });
  pair.configureCaller(service);
  const failed = await get(pair);
  expect(failed).toMatchObject({ status: 503, flags: "UF", reason: expect.stringContaining("ECONNREFUSED") });
  pair.configureCaller({ ...service, waitForEndpointsMs: 20_000 });
  const waiting = get(pair);
  await eventually(() => expect(pair.receiver.logLines.some((line) => line.includes("ECONNREFUSED"))).toBe(true));
  app.listen(pair.port, pair.receiver.address);
  expect(await waiting).toMatchObject({ status: 200, body: "here" });
});

test("a TCP connection waits for a container that takes it", async () => {
  await using pair = await startPair(parrot(), "tcp");
  const ports = [{ number: pair.port, protocol: "tcp" as const, aliases: [] }];
  const service = serviceConfig("payment", pair.port, { ports, waitForEndpointsMs: 20_000 });
  pair.configureCaller(service, [{ ...pair.endpoint, id: "gone", address: freshAddress() }]);
  const client = net.connect(pair.caller.outboundPort, pair.caller.address);
  client.on("error", () => client.destroy());
  client.write("hello");
  await once(client, "connect");
  pair.configureCaller(service);
  const [chunk] = (await once(client, "data")) as [Buffer];
  expect(chunk.toString()).toBe("hello");
  client.destroy();
});

test("a TCP connection to a container that ended is cut: a killed one says nothing itself", async () => {
  await using pair = await startPair(parrot(), "tcp");
  const ports = [{ number: pair.port, protocol: "tcp" as const, aliases: [] }];
  const client = net.connect(pair.caller.outboundPort, pair.caller.address);
  const { promise: ended, resolve } = Promise.withResolvers<NodeJS.ErrnoException>();
  client.on("error", resolve);
  client.write("hello");
  await once(client, "data");
  pair.configureCaller(serviceConfig("payment", pair.port, { ports }), []);
  expect((await ended).code).toBe("ECONNRESET");
});
