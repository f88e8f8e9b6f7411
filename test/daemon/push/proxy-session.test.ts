import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { ProxySession, type SessionDeps } from "../../../daemon/push/proxy-session.ts";
import { hashResources, toResources } from "../../../proxy/contract/diff.ts";
import type { Report } from "../../../proxy/contract/report.ts";
import { eventually } from "../../support/eventually.ts";
import { ControlPeer, configOf } from "./peer.ts";

const dayMs = 86_400_000;

interface Started {
  readonly peer: ControlPeer;
  readonly session: ProxySession;
  readonly signedFor: string[];
  readonly reports: { report: Report; isResumed: boolean }[];
  readonly clock: { now: number; lifetimeMs: number };
}

async function start(prepare: (peer: ControlPeer) => void = () => undefined, wasServing = false): Promise<Started> {
  const peer = await ControlPeer.start();
  prepare(peer);
  const signedFor: string[] = [];
  const reports: Started["reports"] = [];
  const clock = { now: Date.now(), lifetimeMs: 30 * dayMs };
  let epoch = 100;
  const deps: SessionDeps = {
    wasServing,
    open: () => peer.open(),
    nextEpoch: async () => {
      // As long as a slow disk takes.
      await delay(30);
      return ++epoch;
    },
    sign: async (_spki, identity) => {
      signedFor.push(identity);
      return {
        chain: `chain of ${identity}`,
        roots: "roots",
        notAfterMs: clock.now + clock.lifetimeMs,
        lifetimeMs: clock.lifetimeMs,
      };
    },
    now: () => clock.now,
    lifetimeMs: () => clock.lifetimeMs,
    log: () => undefined,
    onReport: (report, isResumed) => reports.push({ report, isResumed }),
    onChange: () => undefined,
  };
  const session = new ProxySession(deps);
  onTestFinished(async () => {
    session.close();
    await peer[Symbol.asyncDispose]();
  });
  return { peer, session, signedFor, reports, clock };
}

const synced = ({ session }: Started) => eventually(() => expect(session.status.isSynced).toBe(true));

test("a new proxy gets its certificate, then its whole config, and is ready after its ack", async () => {
  const started = await start();
  expect(started.session.status.isReady).toBe(false);
  started.session.setConfig(configOf("cart"));
  await synced(started);
  expect(started.session.status.isReady).toBe(true);
  expect(started.peer.received.map(({ t }) => t)).toEqual(["hello", "certificate", "config"]);
  expect(started.peer.of("config")[0]?.change.base).toBeNull();
  expect(started.signedFor).toEqual(["spiffe://cluster.local/ns/shop/sa/cart"]);
});

test("a proxy that speaks first is answered by hello before anything else, however long the epoch takes", async () => {
  const started = await start((peer) => {
    peer.speaksFirst = true;
  });
  started.session.setConfig(configOf("cart"));
  await synced(started);
  expect(started.peer.received.map(({ t }) => t)).toEqual(["hello", "certificate", "config"]);
});

test("a config that comes before the channel is open is sent when it opens", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  expect(started.peer.force?.hash).toBe(hashResources(toResources(configOf("cart"))));
});

test("the second config travels as a difference, and an equal one not at all", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  const endpoint = {
    id: "c1",
    startedAt: "t1",
    isBalanced: true,
    workload: "w",
    version: null,
    subsets: [],
    address: "10.0.0.3",
    aliases: [],
  };
  const next = configOf("cart", { endpoints: { payment: [endpoint] } });
  started.session.setConfig(next);
  started.session.setConfig(structuredClone(next));
  await synced(started);
  const changes = started.peer.of("config").map(({ change }) => change);
  expect(changes).toHaveLength(2);
  expect(changes[1]?.base).toBe(changes[0]?.hash);
  expect(Object.keys(changes[1]?.set ?? {})).toEqual(["endpoints/payment"]);
});

test("one push is in flight, and of those that wait only the newest is sent", async () => {
  const held: (() => void)[] = [];
  const started = await start((peer) => {
    peer.answer = (message) => {
      if (message.t !== "config") return false;
      held.push(() => peer.apply(message));
      return true;
    };
  });
  const version = (n: number) => configOf("cart", { endpoints: { [`s${n}`]: [] } });
  started.session.setConfig(version(1));
  await eventually(() => expect(held).toHaveLength(1));
  for (const n of [2, 3, 4]) started.session.setConfig(version(n));
  held[0]?.();
  await eventually(() => expect(held).toHaveLength(2));
  held[1]?.();
  await synced(started);
  expect(started.peer.force?.hash).toBe(hashResources(toResources(version(4))));
  expect(started.peer.of("config")).toHaveLength(2);
});

test("a refused difference is sent again in full", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  // The proxy has lost what the difference is against.
  started.peer.force = null;
  started.session.setConfig(configOf("cart", { endpoints: { payment: [] } }));
  await synced(started);
  expect(started.peer.of("config").map(({ change }) => change.base === null)).toEqual([true, false, true]);
});

test("a config refused in full is reported, not repeated, and the next one is tried", async () => {
  const bad = configOf("cart", { endpoints: { bad: [] } });
  const badHash = hashResources(toResources(bad));
  const started = await start((peer) => {
    peer.answer = (message) => {
      if (message.t !== "config" || message.change.hash !== badHash) return false;
      peer.send({ t: "nack", hash: badHash, current: peer.force?.hash ?? null, reason: "no such subset" });
      return true;
    };
  });
  const good = configOf("cart");
  started.session.setConfig(good);
  await synced(started);
  started.session.setConfig(bad);
  await eventually(() => expect(started.session.status.reason).toMatch(/no such subset/));
  expect(started.session.status).toMatchObject({ isSynced: false, isReady: true });
  expect(started.session.status.configHash).toBe(hashResources(toResources(good)));
  const sent = started.peer.of("config").length;
  started.session.setConfig(bad);
  started.session.setConfig(good);
  await synced(started);
  expect(started.session.status.reason).toBe("");
  expect(sent).toBe(3);
});

test("an adopted proxy that runs the same config stays ready and gets an empty difference", async () => {
  const config = configOf("cart");
  const resources = toResources(config);
  const started = await start((peer) => {
    peer.force = { hash: hashResources(resources), resources };
    peer.certificateNotAfterMs = Date.now() + dayMs;
  });
  started.session.setConfig(config);
  await eventually(() => expect(started.session.status.isReady).toBe(true));
  await synced(started);
  const changes = started.peer.of("config").map(({ change }) => change);
  expect(changes.every(({ set, remove }) => Object.keys(set).length === 0 && remove.length === 0)).toBe(true);
});

test("a proxy that served under an earlier daemon counts as serving before it has spoken", async () => {
  const started = await start((peer) => {
    peer.answer = (message) => message.t === "hello";
  }, true);
  expect(started.session.status).toMatchObject({ state: "connecting", isReady: true });
});

test("such a proxy that turns out to be new does not serve", async () => {
  const started = await start((peer) => {
    peer.answer = (message) => message.t === "config";
  }, true);
  started.session.setConfig(configOf("cart"));
  await eventually(() => expect(started.session.status).toMatchObject({ state: "connected", isReady: false }));
});

test("a lost channel is opened again with a greater epoch, and the proxy stays ready meanwhile", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.peer.socket?.destroy();
  await eventually(() => expect(started.session.status.state).toBe("connecting"));
  expect(started.session.status.isReady).toBe(true);
  await synced(started);
  const epochs = started.peer.of("hello").map(({ epoch }) => epoch);
  expect(epochs).toHaveLength(2);
  expect(epochs[1]).toBeGreaterThan(epochs[0] ?? 0);
});

test("a proxy process that began anew is not ready before it applied a config", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.peer.answer = (message) => message.t === "config";
  Object.assign(started.peer, { force: null, certificateNotAfterMs: null, boot: "boot-2" });
  started.peer.socket?.destroy();
  await eventually(() => expect(started.session.status).toMatchObject({ state: "connected", isReady: false }));
});

test("a proxy that answers no ping is connected anew", async () => {
  const started = await start((peer) => {
    peer.answer = (message) => message.t === "ping";
  });
  started.session.setConfig(configOf("cart"));
  await synced(started);
  await eventually(() => expect(started.peer.connections).toBe(2));
}, 15_000);

test("a proxy that sends no hello is connected anew", async () => {
  const started = await start((peer) => {
    peer.answer = (message) => message.t === "hello";
  });
  await eventually(() => expect(started.peer.connections).toBe(2));
});

test("an incompatible proxy is reported, left with what it runs, and not asked again", async () => {
  const started = await start((peer) => {
    peer.major = 9;
  });
  started.session.setConfig(configOf("cart"));
  await eventually(() => expect(started.session.status.state).toBe("incompatible"));
  expect(started.session.status.reason).toMatch(/contract 9\.0/);
  started.peer.socket?.destroy();
  started.session.drain();
  expect(started.peer.received.map(({ t }) => t)).toEqual(["hello"]);
  expect(started.peer.connections).toBe(1);
});

test("an incompatible proxy that serves is believed to, until it is replaced", async () => {
  const started = await start((peer) => {
    peer.major = 9;
    peer.force = { hash: "0123", resources: new Map() };
    peer.certificateNotAfterMs = Date.now() + dayMs;
  });
  await eventually(() => expect(started.session.status).toMatchObject({ state: "incompatible", isReady: true }));
  expect(started.session.status.isSynced).toBe(false);
});

test("a proxy that asks for another identity gets that of the container on its channel", async () => {
  const payment = "spiffe://cluster.local/ns/shop/sa/payment";
  const started = await start((peer) => {
    peer.answer = (message) => {
      if (message.t !== "hello") return false;
      const { publicKey, boot } = peer;
      const asked = { identity: payment, service: "payment", node: { identity: payment }, uris: [payment] };
      const hello = { t: "hello", contract: { major: 1, minor: 0 }, boot, publicKey, configHash: null } as const;
      peer.send(Object.assign({ ...hello, certificateNotAfterMs: null }, asked));
      return true;
    };
  });
  started.session.setConfig(configOf("cart"));
  await synced(started);
  expect(started.signedFor).toEqual(["spiffe://cluster.local/ns/shop/sa/cart"]);
  expect(started.peer.of("certificate")[0]?.chain).toBe("chain of spiffe://cluster.local/ns/shop/sa/cart");
});

test("a new identity is certified before the config that names it", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.session.setConfig(configOf("basket"));
  await synced(started);
  expect(started.peer.received.slice(3).map(({ t }) => t)).toEqual(["certificate", "config"]);
  expect(started.signedFor.at(-1)).toBe("spiffe://cluster.local/ns/shop/sa/basket");
});

test("a certificate is renewed from half its life on, over the same channel", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.session.renewIfDue();
  expect(started.signedFor).toHaveLength(1);
  started.clock.now += 15 * dayMs;
  started.session.renewIfDue();
  await eventually(() => expect(started.peer.of("certificate")).toHaveLength(2));
  expect(started.peer.connections).toBe(1);
});

test.each<[string, (clock: Started["clock"]) => void]>([
  ["the clock has stepped back: it may begin in the proxy's future", (clock) => (clock.now -= dayMs)],
  ["certificates shall live shorter from now on", (clock) => (clock.lifetimeMs = dayMs)],
  ["the clock has stepped beyond its end", (clock) => (clock.now += 31 * dayMs)],
])("a certificate is renewed at once when %s", async (_why, change) => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  change(started.clock);
  started.session.renewIfDue();
  await eventually(() => expect(started.peer.of("certificate")).toHaveLength(2));
  started.session.renewIfDue();
  expect(started.signedFor).toHaveLength(2);
});

const report = (boot: string): Report => ({
  boot,
  http: [],
  tcp: [],
  proxy: { loopsClosed: 0, reportsDropped: 0, seriesDropped: 0, connectionsOpen: 0, rssBytes: 1, cpuUs: 1 },
});

test("the first report of an adopted proxy is marked as counted before", async () => {
  const started = await start((peer) => {
    peer.force = { hash: "0123", resources: new Map() };
  });
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.peer.send({ t: "report", report: report("boot-1") });
  started.peer.send({ t: "report", report: report("boot-1") });
  await eventually(() => expect(started.reports.map(({ isResumed }) => isResumed)).toEqual([true, false]));
});

test.each([
  ["text that is not JSON", "nonsense\n"],
  ["a message of the wrong shape", '{"t":"ack","hash":5}\n'],
  [
    "a report with negative counts",
    '{"t":"report","report":{"boot":"b","http":[],"tcp":[],"proxy":{"loopsClosed":-1}}}\n',
  ],
  ["JSON that is no object", "5\n"],
])("%s ends the channel, not the daemon", async (_why, text) => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.peer.socket?.write(text);
  await eventually(() => expect(started.peer.connections).toBe(2));
  await synced(started);
});

test("a kind of message that a newer proxy may know is ignored", async () => {
  const started = await start();
  started.session.setConfig(configOf("cart"));
  await synced(started);
  started.peer.socket?.write('{"t":"weather","is":"fine"}\n');
  started.peer.send({ t: "report", report: report("b") });
  await eventually(() => expect(started.reports).toHaveLength(1));
  expect(started.peer.connections).toBe(1);
});
