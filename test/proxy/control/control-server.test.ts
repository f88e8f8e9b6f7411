import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CONTRACT, type ProxyConfig } from "../../../proxy/contract/config.ts";
import { diff, hashResources, toResources } from "../../../proxy/contract/diff.ts";
import type { FromProxy } from "../../../proxy/contract/messages.ts";
import type { Edge, Report } from "../../../proxy/contract/report.ts";
import { reportQueueBytesMax } from "../../../proxy/control/connection.ts";
import { ControlServer, type ControlServerOptions } from "../../../proxy/control/control-server.ts";
import { Counters, type HttpObservation } from "../../../proxy/telemetry/counters.ts";
import { eventually } from "../../support/eventually.ts";

function config(service: string): ProxyConfig {
  return {
    node: {
      kind: "sidecar",
      mesh: "shop",
      namespace: "shop",
      trustDomain: "cluster.local",
      service,
      version: null,
      workload: `${service}-1`,
      identity: `spiffe://cluster.local/ns/shop/sa/${service}`,
      meshSubnet: "10.213.0.0/16",
      addresses: [],
      names: {},
    },
    services: {},
    endpoints: {},
    inbound: null,
    listeners: {},
  };
}

const report = (size = 0): Report => ({
  boot: `boot${"x".repeat(size)}`,
  http: [],
  tcp: [],
  proxy: { loopsClosed: 0, reportsDropped: 0, seriesDropped: 0, connectionsOpen: 0, rssBytes: 0, cpuUs: 0 },
});

const full = (next: ProxyConfig) => diff(null, toResources(next), hashResources(toResources(next)));

async function start(options: Partial<ControlServerOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-control-"));
  const path = join(folder, "control.sock");
  const seen = { applied: [] as ProxyConfig[], certificates: 0, drains: 0, dropped: 0, log: [] as string[] };
  const server = new ControlServer({
    path,
    hello: () => ({ boot: "boot", publicKey: "key", certificateNotAfterMs: null }),
    apply: (next) => void seen.applied.push(next),
    onCertificate: () => void seen.certificates++,
    onDrain: () => void seen.drains++,
    isReady: () => false,
    report: () => report(),
    onReportDropped: () => void seen.dropped++,
    log: (line) => void seen.log.push(line),
    reportEveryMs: 60_000,
    ...options,
  });
  await server.listen();
  onTestFinished(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { server, path, seen };
}

/** A daemon's side by raw lines. */
async function connect(path: string) {
  const socket = net.connect(path);
  socket.on("error", () => socket.destroy());
  onTestFinished(() => {
    socket.destroy();
  });
  const messages: FromProxy[] = [];
  let rest = "";
  socket.on("data", (chunk) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    messages.push(...lines.map((line) => JSON.parse(line) as FromProxy));
  });
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const send = (message: unknown): void => void socket.write(`${JSON.stringify(message)}\n`);
  const next = async <T extends FromProxy["t"]>(t: T): Promise<Extract<FromProxy, { t: T }>> =>
    eventually(() => {
      const at = messages.findIndex((message) => message.t === t);
      if (at === -1) throw new Error(`no ${t} among ${messages.map((message) => message.t).join()}`);
      return messages.splice(at, 1)[0] as Extract<FromProxy, { t: T }>;
    });
  const hello = async (epoch: number, contract = CONTRACT as { major: number; minor: number }) => {
    send({ t: "hello", contract, epoch });
    send({ t: "ping", n: epoch });
    await next("pong");
  };
  await once(socket, "connect");
  return { socket, messages, closed, send, next, hello };
}

describe("ControlServer", () => {
  test("says hello, takes a config and acks it", async () => {
    const { path, seen, server } = await start({ isReady: () => true });
    const daemon = await connect(path);
    expect(await daemon.next("hello")).toEqual({
      t: "hello",
      contract: CONTRACT,
      boot: "boot",
      publicKey: "key",
      configHash: null,
      certificateNotAfterMs: null,
    });
    await daemon.hello(1);
    const change = full(config("cart"));
    daemon.send({ t: "config", change });
    expect(await daemon.next("ack")).toEqual({ t: "ack", hash: change.hash, ready: true });
    expect(seen.applied).toEqual([config("cart")]);
    expect(server.configHash).toBe(change.hash);
  });

  test("applies a difference to what is in force, and a new daemon learns what that is", async () => {
    const { path, seen } = await start();
    const first = await connect(path);
    await first.hello(1);
    const base = toResources(config("cart"));
    first.send({ t: "config", change: full(config("cart")) });
    const { hash } = await first.next("ack");
    first.socket.destroy();

    const second = await connect(path);
    expect((await second.next("hello")).configHash).toBe(hash);
    await second.hello(2);
    const resources = toResources(config("payment"));
    second.send({ t: "config", change: diff({ hash, resources: base }, resources, hashResources(resources)) });
    await second.next("ack");
    expect(seen.applied.at(-1)).toEqual(config("payment"));
  });

  test("keeps the last good config when one cannot be applied, and says why", async () => {
    const { path, server } = await start({
      apply: (next) => {
        if (next.node.service === "bad") throw new Error("port 0 is no port");
      },
    });
    const daemon = await connect(path);
    await daemon.hello(1);
    daemon.send({ t: "config", change: full(config("cart")) });
    const { hash: good } = await daemon.next("ack");
    const bad = full(config("bad"));
    daemon.send({ t: "config", change: bad });
    expect(await daemon.next("nack")).toEqual({
      t: "nack",
      hash: bad.hash,
      current: good,
      reason: "port 0 is no port",
    });
    expect(server.configHash).toBe(good);
  });

  test.each([
    ["against another base", { ...full(config("cart")), base: "feedfeedfeedfeed" }, "the change is against"],
    ["whose result has another hash", { ...full(config("cart")), hash: "0000000000000000" }, "hashes to"],
    ["that is not JSON", { base: null, hash: "7f1e2a6d", set: { node: "{" }, remove: [] }, "hashes to"],
  ])("nacks a change %s", async (_why, change, reason) => {
    const { path, seen } = await start();
    const daemon = await connect(path);
    await daemon.hello(1);
    daemon.send({ t: "config", change });
    expect((await daemon.next("nack")).reason).toContain(reason);
    expect(seen.applied).toEqual([]);
  });

  test("a higher epoch closes the older connection; a lower or equal one is refused", async () => {
    const { path, server } = await start();
    const old = await connect(path);
    await old.hello(5);
    const stale = await connect(path);
    stale.send({ t: "hello", contract: CONTRACT, epoch: 5 });
    await stale.closed;
    const newer = await connect(path);
    await newer.hello(6);
    await old.closed;
    newer.socket.destroy();
    await eventually(() => expect(server.isConnected).toBe(false));
    const late = await connect(path);
    late.send({ t: "hello", contract: CONTRACT, epoch: 5 });
    await late.closed;
    await (await connect(path)).hello(7);
  });

  test("an incompatible daemon can drain the proxy but not configure it", async () => {
    const { path, seen } = await start();
    const daemon = await connect(path);
    await daemon.hello(1, { major: 99, minor: 0 });
    daemon.send({ t: "config", change: full(config("cart")) });
    expect((await daemon.next("nack")).reason).toContain("contract");
    daemon.send({ t: "drain" });
    await eventually(() => expect(seen.drains).toBe(1));
  });

  test("hands over certificates and survives a bad one", async () => {
    let certificates = 0;
    const { path, seen } = await start({
      onCertificate: ({ chain }) => {
        certificates++;
        if (chain === "bad") throw new Error("no PEM");
      },
    });
    const daemon = await connect(path);
    await daemon.hello(1);
    for (const chain of ["bad", "good"]) daemon.send({ t: "certificate", chain, roots: "roots", notAfterMs: 1 });
    daemon.send({ t: "ping", n: 3 });
    expect(await daemon.next("pong")).toEqual({ t: "pong", n: 3 });
    expect(certificates).toBe(2);
    expect(seen.log.join()).toContain("certificate refused: no PEM");
  });

  test.each([
    ["rubbish", "rubbish\n"],
    ["JSON that is no object", "[]\n"],
    ["an unknown message", '{"t":"reboot"}\n'],
    ["a hello without an epoch", '{"t":"hello","contract":{"major":1,"minor":0}}\n'],
    ["a config before its hello", `${JSON.stringify({ t: "config", change: full(config("cart")) })}\n`],
    ["a change that is not one", '{"t":"config","change":{"base":null,"hash":"x","set":{"node":1},"remove":[]}}\n'],
    ["a line without end", Buffer.alloc(17 * 1024 * 1024, 0x20)],
  ])("closes a connection that sends %s, with a line in the log, and serves on", async (_why, bytes) => {
    const { path, seen } = await start();
    const rude = await connect(path);
    rude.socket.write(bytes);
    await rude.closed;
    await eventually(() => expect(seen.log.join()).toContain("control connection closed"));
    await (await connect(path)).hello(1);
    expect(seen.applied).toEqual([]);
  });

  test("closes a connection that never says hello", async () => {
    const { path, seen } = await start({ helloTimeoutMs: 30 });
    await (await connect(path)).closed;
    await eventually(() => expect(seen.log.join()).toContain("no hello within 30 ms"));
  });

  test("reports at its interval, and only to a daemon", async () => {
    let asked = 0;
    const { path } = await start({
      reportEveryMs: 10,
      report: () => {
        asked++;
        return report();
      },
    });
    const daemon = await connect(path);
    await daemon.next("hello");
    expect(asked).toBe(0);
    await daemon.hello(1);
    await daemon.next("report");
    await daemon.next("report");
  });

  test("tells a daemon that understands it only what has grown, beginning anew with each connection", async () => {
    const counters = new Counters("boot");
    const { path, server } = await start({ report: (told) => counters.report(told) });
    const takesChanges = async (epoch: number) => {
      const daemon = await connect(path);
      daemon.send({ t: "hello", contract: CONTRACT, epoch, takesChanges: true });
      daemon.send({ t: "ping", n: epoch });
      await daemon.next("pong");
      return daemon;
    };
    const first = await takesChanges(1);
    counters.observe(observation(200));
    counters.observe(observation(503));
    server.sendReport();
    counters.observe(observation(503));
    server.sendReport();
    const whole = (await first.next("report")).report;
    const changes = (await first.next("report")).report;
    expect([whole.isPartial, whole.http.map(({ status }) => status)]).toEqual([undefined, [200, 503]]);
    expect([changes.isPartial, changes.http.map(({ status }) => status)]).toEqual([true, [503]]);
    expect(changes.http[0]?.buckets.reduce((sum, n) => sum + n, 0)).toBe(2);
    const second = await takesChanges(2);
    server.sendReport();
    expect((await second.next("report")).report).toMatchObject({ http: [{ status: 200 }, { status: 503 }] });
    // A daemon that says nothing of changes gets everything each time.
    const old = await connect(path);
    await old.hello(3);
    server.sendReport();
    server.sendReport();
    for (let i = 0; i < 2; i++) expect((await old.next("report")).report.http).toHaveLength(2);
  });

  test("a proxy that counts nothing reports every fifth time", async () => {
    const { path, server } = await start();
    const daemon = await connect(path);
    daemon.send({ t: "hello", contract: CONTRACT, epoch: 1, takesChanges: true });
    daemon.send({ t: "ping", n: 1 });
    await daemon.next("pong");
    for (let i = 0; i < 11; i++) server.sendReport();
    server.sendReady();
    await daemon.next("ready");
    expect(daemon.messages.filter(({ t }) => t === "report")).toHaveLength(3);
  });

  test("drops and counts reports while the daemon does not read, never an ack", async () => {
    const { path, server, seen } = await start({ report: () => report(reportQueueBytesMax) });
    const daemon = await connect(path);
    await daemon.hello(1);
    daemon.socket.pause();
    for (let i = 0; i < 20; i++) server.sendReport();
    await eventually(() => {
      server.sendReport();
      expect(seen.dropped).toBeGreaterThan(10);
    });
    const change = full(config("cart"));
    daemon.send({ t: "config", change });
    await eventually(() => expect(seen.applied).toHaveLength(1));
    daemon.socket.resume();
    expect((await daemon.next("ack")).hash).toBe(change.hash);
    server.sendReady();
    await daemon.next("ready");
  });

  test("replaces the socket of a proxy that was killed, closed to other users, but no file", async () => {
    const { path, server } = await start();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const stale = net.createServer();
    const other = `${path}.stale`;
    stale.listen(other);
    await once(stale, "listening");
    const second = new ControlServer({ ...optionsOf(), path: other });
    await second.listen();
    await (await connect(other)).hello(1);
    await second.close();
    stale.close();
    writeFileSync(`${path}.file`, "");
    const third = new ControlServer({ ...optionsOf(), path: `${path}.file` });
    await expect(third.listen()).rejects.toThrow("EADDRINUSE");
    await third.close();
    await server.close();
    expect(existsSync(path)).toBe(false);
  });
});

function observation(status: number): HttpObservation {
  const edge: Edge = {
    reporter: "source",
    sourceWorkload: "website-1",
    sourceService: "website",
    sourceVersion: "unknown",
    sourcePrincipal: "unknown",
    destinationWorkload: "cart-1",
    destinationService: "cart",
    destinationVersion: "unknown",
    destinationPrincipal: "unknown",
    security: "unknown",
    flags: "-",
  };
  return { edge, protocol: "http", status, durationMs: 3, requestBytes: 1, responseBytes: 1, retries: 0 };
}

function optionsOf(): Omit<ControlServerOptions, "path"> {
  return {
    hello: () => ({ boot: "boot", publicKey: "key", certificateNotAfterMs: null }),
    apply: () => undefined,
    onCertificate: () => undefined,
    onDrain: () => undefined,
    isReady: () => false,
    report: () => report(),
    onReportDropped: () => undefined,
    log: () => undefined,
  };
}
