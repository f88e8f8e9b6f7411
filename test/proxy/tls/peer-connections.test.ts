import { once } from "node:events";
import { connect as connectTcp, createServer, type Server, type Socket } from "node:net";
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TLSSocket,
} from "node:tls";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { resetStream } from "../../../proxy/tcp/reset.ts";
import { connectFailure, connectPeer } from "../../../proxy/tls/connect-peer.ts";
import { FailureError } from "../../../proxy/tls/failure-error.ts";
import { Identity } from "../../../proxy/tls/identity.ts";
import {
  createPeerServer,
  type PeerConnection,
  type PeerServer,
  type Refusal,
} from "../../../proxy/tls/peer-server.ts";
import { type IssueOptions, type TestCa, testCa } from "../../support/certificates.ts";
import { eventually } from "../../support/eventually.ts";

const cart = "spiffe://cluster.local/ns/shop/sa/cart";
const payment = "spiffe://cluster.local/ns/shop/sa/payment";
const servername = "outbound_.8080_._.payment.shop.svc.cluster.local";
const alpn = "devmesh/1";

let ca: TestCa;
let otherCa: TestCa;
let callerIdentity: Identity;
const cleanUps: (() => void)[] = [];

beforeAll(async () => {
  ca = await testCa();
  otherCa = await testCa("other CA");
  callerIdentity = await ca.identity(cart);
});

afterEach(() => {
  for (const cleanUp of cleanUps.splice(0)) cleanUp();
});

interface Serving {
  readonly port: number;
  readonly server: PeerServer;
  readonly identity: Identity;
  readonly accepted: { socket: TLSSocket; peer: PeerConnection }[];
  readonly refusals: Refusal[];
}

async function serve(options: { identity?: Identity; handshakeTimeoutMs?: number } = {}): Promise<Serving> {
  const identity = options.identity ?? (await ca.identity(payment));
  const accepted: Serving["accepted"] = [];
  const refusals: Refusal[] = [];
  const server = createPeerServer({
    identity,
    trustDomain: "cluster.local",
    alpn: [alpn, "devmesh-tunnel/1"],
    onConnection: (socket, peer) => {
      accepted.push({ socket, peer });
      socket.on("data", (chunk) => socket.write(chunk));
      socket.on("end", () => socket.end());
    },
    onRefused: (refusal) => refusals.push(refusal),
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? 5000,
  });
  const listener = createServer({ allowHalfOpen: true }, (raw) => server.accept(raw));
  const port = await listen(listener);
  cleanUps.push(() => {
    server.close();
    listener.close();
  });
  return { port, server, identity, accepted, refusals };
}

async function listen(listener: Server): Promise<number> {
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function dial(port: number, options: Partial<Parameters<typeof connectPeer>[0]> = {}): TLSSocket {
  const socket = connectPeer({
    address: "127.0.0.1",
    port,
    servername,
    alpn,
    expectedIdentity: payment,
    identity: callerIdentity,
    timeoutMs: 5000,
    ...options,
  });
  cleanUps.push(() => socket.destroy());
  return socket;
}

/** A client that is not ours, so that it can do what ours never would. */
function dialRaw(port: number, options: ConnectionOptions): TLSSocket {
  const settings = { host: "127.0.0.1", port, servername, ALPNProtocols: [alpn], rejectUnauthorized: false };
  const socket = connectTls({ ...settings, ...options });
  socket.on("error", () => undefined);
  cleanUps.push(() => socket.destroy());
  return socket;
}

/** Resolves once the server has closed the connection; what it sent meanwhile must be nothing. */
async function closedByServer(socket: Socket): Promise<void> {
  let received = 0;
  socket.on("data", (chunk: Buffer) => {
    received += chunk.length;
  });
  await new Promise((resolve) => socket.once("close", resolve));
  expect(received).toBe(0);
}

async function failureOf(socket: TLSSocket): Promise<unknown> {
  const error = await new Promise<unknown>((resolve, reject) => {
    socket.once("error", resolve);
    socket.once("secureConnect", () => reject(new Error("the connection was established")));
  });
  return connectFailure(error, "payment");
}

describe("two sidecars", () => {
  it("know each other's identity, protocol and server name, and keep half-close", async () => {
    const { port, accepted } = await serve();
    const socket = dial(port);
    await once(socket, "secureConnect");
    expect(socket.getProtocol()).toBe("TLSv1.3");
    socket.end("last words");
    const chunks: Buffer[] = [];
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    expect(Buffer.concat(chunks).toString()).toBe("last words");
    expect(accepted[0]?.peer).toEqual({ identity: cart, alpn, servername, address: "127.0.0.1" });
  });

  it("keep their open connections when a certificate is renewed, and show the new one on new connections", async () => {
    const { port, identity, accepted } = await serve();
    const open = dial(port);
    await once(open, "secureConnect");
    const before = open.getPeerX509Certificate()?.serialNumber;
    identity.install(await ca.issue({ uris: [payment], publicKey: identity.publicKeySpki }));
    const later = dial(port);
    await once(later, "secureConnect");
    expect(later.getPeerX509Certificate()?.serialNumber).not.toBe(before);
    open.write("still there");
    expect(String((await once(open, "data"))[0])).toBe("still there");
    expect(accepted).toHaveLength(2);
  });

  it("pass a reset on to each other as a reset", async () => {
    const { port, accepted } = await serve();
    const socket = dial(port);
    await once(socket, "secureConnect");
    socket.write("one byte more");
    await once(socket, "data");
    const [{ socket: callee } = { socket: undefined }] = accepted;
    if (callee === undefined) throw new Error("the callee accepted nothing");
    const seen = new Promise<Error>((resolve) => callee.once("error", resolve));
    resetStream(socket);
    expect(await seen).toMatchObject({ code: "ECONNRESET" });
  });

  it("dial nobody before the caller has a certificate", async () => {
    let connections = 0;
    const listener = createServer(() => {
      connections++;
    });
    const port = await listen(listener);
    cleanUps.push(() => listener.close());
    expect(() => dial(port, { identity: new Identity() })).toThrow("no certificate");
    const probe = connectTcp(port, "127.0.0.1");
    await once(probe, "connect");
    probe.destroy();
    await eventually(() => expect(connections).toBe(1));
  });
});

describe("a caller", () => {
  it.each<[string, () => Promise<Partial<IssueOptions> & { ca?: TestCa }>, RegExp]>([
    ["another service's certificate", async () => ({ uris: [cart] }), /proves to be .*sa\/cart, not .*sa\/payment/],
    ["an identity that only starts alike", async () => ({ uris: [`${payment}2`] }), /proves to be/],
    ["two URI names", async () => ({ uris: [payment, cart] }), /2 URI names/],
    ["a certificate of another CA", async () => ({ uris: [payment], ca: otherCa }), /verify|signature|issuer/i],
    ["an expired certificate", async () => ({ uris: [payment], notAfter: new Date(Date.now() - 60_000) }), /expired/],
  ])("refuses a callee with %s, as unprocessed", async (_why, options, reason) => {
    const { ca: issuer = ca, ...issue } = await options();
    const certificate = await issuer.issue(issue);
    const server = createTlsServer({ key: certificate.key, cert: certificate.chain, ALPNProtocols: [alpn] });
    server.on("tlsClientError", () => undefined);
    server.on("secureConnection", (socket) => socket.on("error", () => undefined));
    cleanUps.push(() => server.close());
    const failure = await failureOf(dial(await listen(server)));
    expect(failure).toMatchObject({ flag: "UF", isUnprocessed: true, reason: expect.stringMatching(reason) });
  });

  it("refuses a callee that agrees to no protocol", async () => {
    const certificate = await ca.issue({ uris: [payment] });
    const server = createTlsServer({ key: certificate.key, cert: certificate.chain });
    server.on("secureConnection", (socket) => socket.on("error", () => undefined));
    cleanUps.push(() => server.close());
    const failure = await failureOf(dial(await listen(server)));
    expect(failure).toMatchObject({ flag: "UF", reason: expect.stringContaining("agreed to nothing") });
  });

  it("fails with UF when nobody listens", async () => {
    const listener = createServer();
    const port = await listen(listener);
    await new Promise((resolve) => listener.close(resolve));
    expect(await failureOf(dial(port))).toMatchObject({ flag: "UF", isUnprocessed: true });
  });

  it("gives up on a callee that does not complete the handshake", async () => {
    const silent = createServer((raw) => cleanUps.push(() => raw.destroy()));
    cleanUps.push(() => silent.close());
    const socket = dial(await listen(silent), { timeoutMs: 50 });
    const [error] = (await once(socket, "error")) as [unknown];
    expect(error).toBeInstanceOf(FailureError);
    expect(connectFailure(error, "payment").reason).toContain("within 50 ms");
  });
});

describe("a receiver", () => {
  it("refuses a caller without a certificate", async () => {
    const { port, refusals, accepted } = await serve();
    await closedByServer(dialRaw(port, {}));
    await eventually(() => expect(refusals.map(({ reason }) => reason)).toEqual(["no-certificate"]));
    expect(accepted).toHaveLength(0);
  });

  it.each<[string, string, () => Promise<IssueOptions & { ca?: TestCa }>]>([
    ["a certificate of another CA", "other-ca", async () => ({ ca: otherCa })],
    ["an expired certificate", "expired", async () => ({ notAfter: new Date(Date.now() - 60_000) })],
    ["a certificate from the future", "expired", async () => ({ notBefore: new Date(Date.now() + 60_000) })],
    ["two URI names", "bad-identity", async () => ({ uris: [cart, payment] })],
    ["no URI name", "bad-identity", async () => ({ uris: [], dns: ["cart"] })],
    [
      "an identity of another trust domain",
      "other-trust-domain",
      async () => ({ uris: ["spiffe://evil.local/ns/shop/sa/cart"] }),
    ],
    [
      "a trust domain that only starts alike",
      "other-trust-domain",
      async () => ({ uris: ["spiffe://cluster.local.evil/ns/shop/sa/cart"] }),
    ],
  ])("refuses a caller with %s", async (_why, reason, options) => {
    const { port, refusals, accepted, server } = await serve();
    const { ca: issuer = ca, ...issue } = await options();
    const { key, chain } = await issuer.issue(issue);
    await closedByServer(dialRaw(port, { key, cert: chain }));
    await eventually(() => expect(refusals).toHaveLength(1));
    expect(refusals[0]).toMatchObject({ reason, address: "127.0.0.1" });
    expect(server.refused[reason as keyof typeof server.refused]).toBe(1);
    expect(accepted).toHaveLength(0);
  });

  it("refuses a session that is resumed without a certificate", async () => {
    const { port, refusals, accepted } = await serve();
    const { key, chain } = await ca.issue();
    const first = dialRaw(port, { key, cert: chain });
    const sessions: Buffer[] = [];
    first.on("session", (session) => sessions.push(session));
    await once(first, "secureConnect");
    first.write("hello");
    await once(first, "data");
    await eventually(() => expect(sessions.length).toBeGreaterThan(0));
    for (const session of sessions) await closedByServer(dialRaw(port, { session }));
    await eventually(() => expect(refusals).toHaveLength(sessions.length));
    expect(accepted).toHaveLength(1);
  });

  it.each<[string, ConnectionOptions, string]>([
    ["TLS 1.2", { maxVersion: "TLSv1.2" }, "handshake-failed"],
    ["a protocol that is not spoken", { ALPNProtocols: ["h2"] }, "no-common-protocol"],
    ["no protocol", { ALPNProtocols: [] }, "no-common-protocol"],
  ])("refuses %s", async (_why, options, reason) => {
    const { port, refusals } = await serve();
    const { key, chain } = await ca.issue();
    await closedByServer(dialRaw(port, { key, cert: chain, ...options }));
    await eventually(() => expect(refusals.map((refusal) => refusal.reason)).toEqual([reason]));
  });

  it("closes what is no TLS and what never completes the handshake, and goes on", async () => {
    const { port, refusals } = await serve({ handshakeTimeoutMs: 100 });
    const plain = connectTcp(port, "127.0.0.1");
    plain.on("error", () => undefined);
    plain.write("GET / HTTP/1.1\r\n\r\n");
    const mute = connectTcp(port, "127.0.0.1");
    mute.on("error", () => undefined);
    plain.resume();
    mute.resume();
    await Promise.all([plain, mute].map((socket) => new Promise((resolve) => socket.once("close", resolve))));
    await eventually(() =>
      expect(refusals.map(({ reason }) => reason).sort()).toEqual(["handshake-failed", "handshake-timeout"]),
    );
    await once(dial(port), "secureConnect");
  });

  it("lets go of a caller that ends without a word, long before the handshake's timeout", async () => {
    const { port, refusals } = await serve({ handshakeTimeoutMs: 60_000 });
    const caller = connectTcp({ port, host: "127.0.0.1", allowHalfOpen: true });
    caller.end();
    await closedByServer(caller);
    expect(refusals).toEqual([]);
  });

  it("keeps 1,024 callers that say nothing, and drops the oldest for one more", async () => {
    const { port } = await serve({ handshakeTimeoutMs: 60_000 });
    const silent: Socket[] = [];
    for (let i = 0; i < 1024; i++) {
      const caller = connectTcp(port, "127.0.0.1").on("error", () => undefined);
      silent.push(caller);
      await once(caller, "connect");
    }
    const [first, second] = silent;
    if (first === undefined || second === undefined) throw new Error("nobody is silent");
    const dropped = closedByServer(first);
    await once(dial(port), "secureConnect");
    await dropped;
    expect(second.destroyed).toBe(false);
    for (const caller of silent) caller.destroy();
  });

  it("refuses everybody before it has a certificate", async () => {
    const identity = new Identity();
    const { port, refusals } = await serve({ identity });
    const early = connectTcp(port, "127.0.0.1");
    early.on("error", () => undefined);
    await closedByServer(early);
    expect(refusals.map(({ reason }) => reason)).toEqual(["no-certificate-yet"]);
    identity.install(await ca.issue({ uris: [payment], publicKey: identity.publicKeySpki }));
    await once(dial(port), "secureConnect");
  });
});
