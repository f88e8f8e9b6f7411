import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { expect, onTestFinished, test } from "vitest";
import { resetStream } from "../../../proxy/tcp/reset.ts";
import { splice } from "../../../proxy/tcp/splice.ts";
import { testCa } from "../../support/certificates.ts";

/** A TLS connection whose client lies on a socket of its own, as tunnels do. */
async function tlsPair(): Promise<{ client: tls.TLSSocket; server: tls.TLSSocket }> {
  const { chain, key } = await (await testCa()).issue();
  const listener = tls.createServer({ cert: chain, key, allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  const below = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const client = tls.connect({ socket: below, rejectUnauthorized: false });
  client.on("error", () => client.destroy());
  const [[server]] = (await Promise.all([once(listener, "secureConnection"), once(client, "secureConnect")])) as [
    [tls.TLSSocket],
    unknown,
  ];
  server.on("error", () => server.destroy());
  onTestFinished(() => {
    client.destroy();
    server.destroy();
    listener.close();
  });
  return { client, server };
}

test.each([
  ["a server's TLS connection", "server", "client"],
  ["a client's TLS connection on a socket of its own", "client", "server"],
] as const)("resets %s, which its peer sees as an error and not as an end", async (_why, from, to) => {
  const pair = await tlsPair();
  let ended = false;
  pair[to].once("end", () => {
    ended = true;
  });
  const seen = new Promise<Error>((resolve) => pair[to].resume().once("error", resolve));
  const gone = once(pair[from], "close");
  resetStream(pair[from]);
  expect(await seen).toMatchObject({ code: "ECONNRESET" });
  expect(ended).toBe(false);
  await gone;
  resetStream(pair[from]);
});

test("a splice takes a reset across TLS, and an end as an end", async () => {
  const { client, server } = await tlsPair();
  const listener = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  onTestFinished(() => void listener.close());
  await once(listener, "listening");
  const { port } = listener.address() as net.AddressInfo;
  splice(server, net.connect({ port, host: "127.0.0.1" }));
  const [application] = (await once(listener, "connection")) as [net.Socket];
  application.resume().end("goodbye");
  const seen: unknown[] = [];
  client.on("data", (chunk: Buffer) => seen.push(chunk.toString()));
  await once(client, "end");
  expect(seen).toEqual(["goodbye"]);
  const cut = new Promise<Error>((resolve) => application.once("error", resolve));
  resetStream(client);
  expect(await cut).toMatchObject({ code: "ECONNRESET" });
});
