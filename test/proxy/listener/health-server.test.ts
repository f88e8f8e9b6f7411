import { once } from "node:events";
import http from "node:http";
import net, { type AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { createHealthServer } from "../../../proxy/listener/health-server.ts";
import { Counters } from "../../../proxy/telemetry/counters.ts";

async function start() {
  const state = { isReady: false };
  const server = createHealthServer({ counters: new Counters("boot-1"), isReady: () => state.isReady });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const get = async (path: string): Promise<[number | undefined, string]> => {
    const [response] = (await once(http.get({ port, path, agent: false }), "response")) as [http.IncomingMessage];
    let body = "";
    for await (const chunk of response) body += String(chunk);
    return [response.statusCode, body];
  };
  return { state, port, get };
}

test("it says whether the proxy serves, and what it counted", async () => {
  const { state, get } = await start();
  expect(await get("/healthz/ready")).toEqual([503, "not ready\n"]);
  state.isReady = true;
  expect(await get("/healthz/ready")).toEqual([200, "ready\n"]);
  expect(JSON.parse((await get("/stats"))[1])).toMatchObject({ boot: "boot-1", http: [], tcp: [] });
  expect((await get("/"))[0]).toBe(404);
});

test("what is no HTTP is cut", async () => {
  const { port } = await start();
  const socket = net.connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.write("\u0000\u0001 nonsense\r\n\r\n");
  await once(socket, "close");
});
