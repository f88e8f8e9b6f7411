import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { HeldServer } from "../../../proxy/listener/held-server.ts";
import { eventually } from "../../support/eventually.ts";
import { freshAddress } from "../../support/mesh-pair.ts";

const port = 7000;

async function start() {
  const address = freshAddress();
  const accepted: net.Socket[] = [];
  const open = { count: 0 };
  const server = new HeldServer({
    accept: (socket) => {
      accepted.push(socket);
      socket.on("end", () => socket.end()).resume();
    },
    onConnections: (change) => {
      open.count += change;
    },
  });
  await server.listen(port, address);
  onTestFinished(() => {
    server.close();
    for (const socket of accepted) socket.destroy();
  });
  const dial = () => {
    const socket = net.connect({ host: address, port });
    socket.on("error", () => socket.destroy());
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  return { address, server, accepted, open, dial };
}

test("what connects before the first config waits, and is served in its order, with all that it said", async () => {
  const { server, accepted, open, dial } = await start();
  const clients = [dial(), dial()];
  for (const [i, client] of clients.entries()) client.write(`hello ${i}`);
  await eventually(() => expect(open.count).toBe(2));
  expect(accepted.length).toBe(0);
  const said: string[] = [];
  server.release();
  for (const socket of accepted) socket.on("data", (chunk) => said.push(String(chunk)));
  await eventually(() => expect(said.sort()).toEqual(["hello 0", "hello 1"]));
  dial();
  await eventually(() => expect(accepted.length).toBe(3));
});

test("what waits when it closes is cut; what is served goes on", async () => {
  const waiting = await start();
  const held = waiting.dial();
  await eventually(() => expect(waiting.open.count).toBe(1));
  waiting.server.close();
  await once(held.resume(), "close");
  const serving = await start();
  serving.server.release();
  const served = serving.dial();
  await eventually(() => expect(serving.accepted.length).toBe(1));
  serving.server.close();
  serving.accepted[0]?.write("still here");
  expect(String((await once(served, "data"))[0])).toBe("still here");
  await expect(once(serving.dial(), "connect")).rejects.toThrow("ECONNREFUSED");
  expect(serving.accepted.length).toBe(1);
});

test("connections that are open are counted", async () => {
  const { server, open, dial } = await start();
  server.release();
  const client = dial();
  await eventually(() => expect(open.count).toBe(1));
  client.destroy();
  await eventually(() => expect(open.count).toBe(0));
});

test("an address that is taken is an error", async () => {
  const { address } = await start();
  const other = new HeldServer({ accept: () => undefined, onConnections: () => undefined });
  await expect(other.listen(port, address)).rejects.toThrow("EADDRINUSE");
});
