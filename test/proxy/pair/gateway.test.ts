// A gateway's listeners in front of a real receiver.
import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { ListenerConfig, ProxyConfig } from "../../../proxy/contract/config.ts";
import { Connections } from "../../../proxy/listener/connections.ts";
import { GatewayListeners } from "../../../proxy/listener/gateway.ts";
import { Splits, seededRandom } from "../../../proxy/route/split.ts";
import { buildTable } from "../../../proxy/route/table.ts";
import { eventually } from "../../support/eventually.ts";
import { nodeConfig, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

async function unusedPort(): Promise<number> {
  const server = net.createServer().listen(0);
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** The caller of the pair plays the gateway. */
async function startGateway(
  app: http.Server | net.Server = http.createServer((_request, response) => response.end("hello")),
) {
  const pair = await startPair(app);
  const connections = new Connections();
  const gateway = new GatewayListeners({ context: pair.caller.engine.context, connections });
  const port = await unusedPort();
  const apply = async (listeners: readonly ListenerConfig[]): Promise<void> => {
    const config: ProxyConfig = {
      node: { ...nodeConfig(pair.caller), kind: "gateway" },
      services: { payment: serviceConfig("payment", pair.port) },
      endpoints: { payment: [pair.endpoint] },
      inbound: null,
      listeners: Object.fromEntries(listeners.map((listener) => [listener.port, listener])),
    };
    pair.caller.engine.apply(config);
    await gateway.apply(buildTable(config, new Splits(seededRandom(1))));
  };
  onTestFinished(async () => {
    gateway.close();
    await connections.drain(0);
    await pair[Symbol.asyncDispose]();
  });
  const to = (parts: Partial<ListenerConfig> = {}, host = "*"): ListenerConfig => ({
    port,
    protocol: "http",
    hosts: [{ host, service: "payment", port: pair.port }],
    ...parts,
  });
  return { pair, port, gateway, apply, to };
}

async function get(
  port: number,
  host = "localhost",
  agent: http.Agent | false = false,
): Promise<[number | undefined, string]> {
  const request = http.get({ port, host: "127.0.0.1", setHost: false, headers: { host }, agent });
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return [response.statusCode, body];
}

const openAt = (pair: Pair) => pair.caller.counters.report().proxy.connectionsOpen;

test("requests come in for the service that a listener names, whatever else the Host names", async () => {
  const { port, apply, to, pair } = await startGateway();
  await apply([to()]);
  expect(await get(port)).toEqual([200, "hello"]);
  await apply([to({}, "*.example.com")]);
  expect((await get(port, "www.example.com"))[0]).toBe(200);
  expect(await get(port, "payment")).toEqual([404, "Not Found: this gateway serves no host payment\n"]);
  await eventually(() => expect(openAt(pair)).toBe(0));
});

test("a reload of a listener's hosts cuts no connection; one that is taken away takes no more", async () => {
  const { port, apply, to } = await startGateway();
  await apply([to({}, "a.test")]);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  expect((await get(port, "a.test", agent))[0]).toBe(200);
  const [socket] = Object.values(agent.freeSockets).flat();
  await apply([to({}, "b.test")]);
  expect((await get(port, "b.test", agent))[0]).toBe(200);
  expect(Object.values(agent.freeSockets).flat()).toEqual([socket]);
  await apply([]);
  await expect(get(port)).rejects.toThrow("ECONNREFUSED");
});

test("a port that was taken is opened by the next config", async () => {
  const { port, apply, to } = await startGateway();
  const other = net.createServer().listen(port);
  await once(other, "listening");
  await expect(apply([to()])).rejects.toThrow("EADDRINUSE");
  other.close();
  await once(other, "close");
  await apply([to()]);
  expect((await get(port))[0]).toBe(200);
});

test("TCP goes to the service of the listener", async () => {
  const { port, apply, to } = await startGateway();
  await apply([to({ protocol: "tcp" })]);
  expect((await get(port))[0]).toBe(200);
  await apply([to({ protocol: "tcp", hosts: [] })]);
  await expect(get(port)).rejects.toThrow("ECONNRESET");
});
