// A service with `mtls: disable`: its callers speak plaintext to its port, which is redirected to its sidecar.
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { expect, test } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { freshAddress, identityOf, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

interface Plain extends AsyncDisposable {
  readonly pair: Pair;
  /** Where the receiver is on a network that both share. */
  readonly alias: string;
  configure(mtls: "permissive" | "disable"): void;
}

async function startPlain(app: http.Server | net.Server, protocol: "http" | "tcp" = "http"): Promise<Plain> {
  const pair = await startPair(app, protocol);
  const alias = freshAddress();
  await pair.receiver.redirectInbound(alias, pair.port);
  pair.receiver.dialled = { address: pair.receiver.address, port: pair.port };
  pair.configureReceiver({ mtls: "disable" });
  const ports = [{ number: pair.port, protocol, aliases: [80] }];
  const configure = (mtls: "permissive" | "disable") =>
    pair.configureCaller(serviceConfig("payment", pair.port, { mtls, ports }), [
      { ...pair.endpoint, aliases: [alias] },
    ]);
  configure("disable");
  return { pair, alias, configure, [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose]() };
}

async function get(pair: Pair, parts: http.RequestOptions = {}): Promise<[number | undefined, string]> {
  const request = http.request(pair.request(parts));
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return [response.statusCode, body];
}

const hello = () => http.createServer((request, response) => response.end(`hello ${request.headers.host}`));
const securityOf = (pair: Pair) => ({
  caller: pair.caller.counters
    .report()
    .http.map(({ security, destinationPrincipal }) => [security, destinationPrincipal]),
  receiver: pair.receiver.counters.report().http.map(({ security, sourcePrincipal }) => [security, sourcePrincipal]),
});

test("requests come in plaintext, by their sidecar, and edges say so", async () => {
  await using plain = await startPlain(hello());
  const { pair } = plain;
  expect(await get(pair)).toEqual([200, `hello payment:${pair.port}`]);
  await eventually(() => {
    expect(securityOf(pair)).toEqual({ caller: [["none", "unknown"]], receiver: [["none", "unknown"]] });
  });
  expect(pair.caller.flushLog().join("\n")).toContain(`"${plain.alias}"`);
});

test("an edit to and fro cuts nothing and loses nothing", async () => {
  const answers: http.ServerResponse[] = [];
  await using plain = await startPlain(http.createServer((_request, response) => answers.push(response)));
  const { pair } = plain;
  const pending: ReturnType<typeof get>[] = [];
  for (const mtls of ["disable", "permissive", "disable", "permissive"] as const) {
    plain.configure(mtls);
    pending.push(get(pair));
    await eventually(() => expect(answers.length).toBe(pending.length));
  }
  for (const answer of answers) answer.end("whole");
  expect(await Promise.all(pending)).toEqual(pending.map(() => [200, "whole"]));
  expect(
    securityOf(pair)
      .caller.map(([security]) => security)
      .sort(),
  ).toEqual(["mutual_tls", "none"]);
});

test("TCP comes in plaintext as well, with half-close", async () => {
  const app = net.createServer({ allowHalfOpen: true }, (socket) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("end", () => socket.end(`got ${text}`));
    socket.on("error", () => socket.destroy());
  });
  await using plain = await startPlain(app, "tcp");
  const { caller, receiver } = plain.pair;
  const socket = net.connect({ host: caller.address, port: caller.outboundPort, allowHalfOpen: true });
  socket.end("hello");
  let text = "";
  for await (const chunk of socket) text += String(chunk);
  expect(text).toBe("got hello");
  for (const proxy of [caller, receiver]) {
    expect(proxy.counters.report().tcp).toMatchObject([{ security: "none", opened: 1, flags: "-" }]);
  }
});

test("an upgrade crosses it", async () => {
  const app = http.createServer();
  app.on("upgrade", (_request, socket: net.Socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => socket.write(chunk));
    socket.on("end", () => socket.end());
  });
  await using plain = await startPlain(app);
  const headers = { host: "payment", connection: "Upgrade", upgrade: "echo" };
  const request = http.request(plain.pair.request({ headers }));
  request.end();
  const [, socket] = (await once(request, "upgrade")) as [http.IncomingMessage, net.Socket, Buffer];
  socket.write("ping");
  const [chunk] = await once(socket, "data");
  expect(String(chunk)).toBe("ping");
  socket.end();
  socket.resume();
  await once(socket, "end");
});

test("no identity comes with it: only rules for anybody let it in", async () => {
  await using plain = await startPlain(hello());
  const { pair } = plain;
  const rule = { methods: ["GET"], paths: [] };
  pair.configureReceiver({ mtls: "disable", allow: [{ from: [identityOf("cart")], ...rule }] });
  expect((await get(pair))[0]).toBe(403);
  pair.configureReceiver({ mtls: "disable", allow: [{ from: ["*"], ...rule }] });
  expect((await get(pair))[0]).toBe(200);
});

test("an endpoint that is gone fails what is under way to it", async () => {
  const app = http.createServer(() => undefined);
  await using plain = await startPlain(app);
  const { pair } = plain;
  const asked = once(app, "request");
  const pending = get(pair);
  await asked;
  pair.configureCaller(serviceConfig("payment", pair.port, { mtls: "disable" }), []);
  expect((await pending)[0]).toBe(503);
  await eventually(() => expect(pair.caller.counters.report().http.map(({ flags }) => flags)).toEqual(["UC"]));
});
