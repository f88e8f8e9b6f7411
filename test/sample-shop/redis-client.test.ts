import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { RedisClient } from "../../sample-shop/cart/redis.ts";

const owned: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

/** A server whose connections the test answers by hand. */
async function startPeer(onConnection: (socket: Socket, number: number) => void, port = 0) {
  const sockets: Socket[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    onConnection(socket, sockets.push(socket));
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  owned.push({
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  return { port: (server.address() as AddressInfo).port };
}

function startClient(port: number, log: (message: string) => void = () => undefined): RedisClient {
  const client = new RedisClient({ host: "127.0.0.1", port, log });
  owned.push(client);
  return client;
}

describe("RedisClient", () => {
  it("answers commands in their order, from bytes that come one by one", async () => {
    const { port } = await startPeer((socket) => {
      socket.setNoDelay(true).on("data", () => {
        for (const byte of "+A\r\n:2\r\n-ERR no\r\n") socket.write(byte);
      });
    });
    const client = startClient(port);
    const replies = await Promise.allSettled([client.command("A"), client.command("B"), client.command("C")]);
    expect(replies).toMatchObject([{ value: "A" }, { value: 2 }, { reason: { message: "ERR no" } }]);
  });

  it("fails what was sent when the connection ends, and comes back for the next command", async () => {
    const { port } = await startPeer((socket, number) => {
      socket.on("data", () => (number === 1 ? socket.destroy() : socket.write("+PONG\r\n")));
    });
    const client = startClient(port);
    await expect(client.command("PING")).rejects.toThrow("the connection to Redis ended");
    await expect(client.command("PING")).resolves.toBe("PONG");
  });

  it("ends a connection that speaks something else", async () => {
    const { port } = await startPeer((socket) => socket.on("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n")));
    const { promise: logged, resolve: log } = Promise.withResolvers<string>();
    await expect(startClient(port, log).command("PING")).rejects.toThrow("the connection to Redis ended");
    expect(await logged).toBe("Redis: not a Redis reply");
  });

  it("takes no command after it was closed, and fails those under way", async () => {
    const { port } = await startPeer((socket) => socket.resume());
    const client = startClient(port);
    const hanging = client.command("PING");
    client.close();
    await expect(hanging).rejects.toThrow("closed");
    await expect(client.command("PING")).rejects.toThrow("closed");
  });
});
