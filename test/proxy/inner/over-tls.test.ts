// The inner protocol over the connections that it is made for, with the lead roles played by the real parts.
import { createServer } from "node:net";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { serveInner } from "../../../proxy/inner/server-session.ts";
import { InnerUpstream } from "../../../proxy/inner/upstream.ts";
import { alpnInner } from "../../../proxy/tls/alpn.ts";
import { connectPeer } from "../../../proxy/tls/connect-peer.ts";
import { Identity } from "../../../proxy/tls/identity.ts";
import { createPeerServer } from "../../../proxy/tls/peer-server.ts";
import { type TestCa, testCa } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";
import { cleanUp, cleanUps, Recorder, request, response, send } from "./session-pair.ts";

const payment = "spiffe://cluster.local/ns/shop/sa/payment";
const cart = "spiffe://cluster.local/ns/shop/sa/cart";
const mega = 1024 * 1024;
let ca: TestCa;

beforeAll(async () => {
  ca = await testCa();
});
afterEach(cleanUp);

async function startPayment(identity: Identity): Promise<{ port: number; requests: string[] }> {
  const requests: string[] = [];
  const server = createPeerServer({
    identity,
    trustDomain: "cluster.local",
    alpn: [alpnInner],
    onRefused: () => undefined,
    onConnection: (socket, peer) => {
      serveInner(socket, {
        peer,
        onClose: () => undefined,
        onRequest: (stream) => {
          requests.push(`${stream.peer.identity} ${stream.head.target}`);
          const seen = new Recorder();
          stream.events = seen;
          stream.respond(response());
          seen.onEvent = () => {
            if (seen.isEnded) send(stream, seen, seen.body);
          };
        },
      });
    },
  });
  const listener = createServer({ allowHalfOpen: true }, (raw) => server.accept(raw));
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => {
    server.close();
    listener.close();
  });
  const address = listener.address();
  return { port: typeof address === "object" && address !== null ? address.port : 0, requests };
}

function callPayment(port: number, identity: Identity, expectedIdentity = payment): InnerUpstream {
  const connect = () =>
    connectPeer({
      address: "127.0.0.1",
      port,
      servername: "outbound_.8080_._.payment.shop.svc.cluster.local",
      alpn: alpnInner,
      expectedIdentity,
      identity,
      timeoutMs: 5000,
    });
  const upstream = new InnerUpstream({ connect, describe: `payment (127.0.0.1:${port})` });
  cleanUps.push(() => upstream.close());
  return upstream;
}

describe("requests over mutual TLS", () => {
  it("arrive with the caller's identity, whole, many at once", async () => {
    const { port, requests } = await startPayment(await ca.identity(payment));
    const upstream = callPayment(port, await ca.identity(cart));
    const body = Buffer.alloc(mega, "0123456789");
    const all = Array.from({ length: 10 }, (_, i) => {
      const told = new Recorder();
      const stream = upstream.open(request({ method: "POST", target: `/${i}`, bodyLength: mega }), told);
      send(stream, told, body);
      return told;
    });
    await Promise.all(all.map((told) => told.over));
    expect(all.map(({ failure }) => failure)).toEqual(all.map(() => null));
    expect(all.every((told) => told.body.equals(body))).toBe(true);
    expect(requests).toContain(`${cart} /9`);
  });

  it("survive the renewal of both certificates without a new connection", async () => {
    const server = await ca.identity(payment);
    const client = await ca.identity(cart);
    const { port, requests } = await startPayment(server);
    const upstream = callPayment(port, client);
    const open = new Recorder();
    const stream = upstream.open(request({ method: "POST", bodyLength: -1 }), open);
    await eventually(() => expect(requests).toHaveLength(1));
    server.install(await ca.issue({ uris: [payment], publicKey: server.publicKeySpki }));
    client.install(await ca.issue({ uris: [cart], publicKey: client.publicKeySpki }));
    stream.write(Buffer.from("after the renewal"));
    stream.end(null);
    await open.over;
    expect([open.body.toString(), open.failure]).toEqual(["after the renewal", null]);
  });

  it("are never sent to a callee with another identity, and fail with who it is", async () => {
    const { port, requests } = await startPayment(await ca.identity(cart));
    const told = new Recorder();
    callPayment(port, await ca.identity(cart)).open(request({ target: "/secret" }), told);
    await told.over;
    expect(told.failure).toMatchObject({
      flag: "UF",
      isUnprocessed: true,
      reason: expect.stringContaining(`proves to be ${cart}`),
    });
    expect(requests).toEqual([]);
  });

  it("of a caller that the receiver refuses are certain to be unprocessed", async () => {
    const { port, requests } = await startPayment(await ca.identity(payment));
    const other = await testCa("other CA");
    const stranger = new Identity();
    const issued = await other.issue({ uris: [cart], publicKey: stranger.publicKeySpki });
    // It trusts this mesh, so that it is the receiver that refuses.
    stranger.install({ ...issued, roots: other.roots + ca.roots });
    const told = new Recorder();
    callPayment(port, stranger).open(request(), told);
    await told.over;
    expect(told.failure).toMatchObject({ flag: "UF", isUnprocessed: true });
    expect(requests).toEqual([]);
  });

  it("fail, unprocessed, while this proxy has no certificate", async () => {
    const { port } = await startPayment(await ca.identity(payment));
    const told = new Recorder();
    callPayment(port, new Identity()).open(request(), told);
    await told.over;
    expect(told.failure).toMatchObject({
      flag: "UF",
      isUnprocessed: true,
      reason: expect.stringContaining("no certificate yet"),
    });
  });
});
