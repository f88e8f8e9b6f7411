import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { outdatedReason } from "../../daemon/api/view.ts";
import { ControlPlane } from "../../daemon/control-plane.ts";
import type { Action } from "../../daemon/docker/plan.ts";
import type { World } from "../../daemon/docker/world.ts";
import { createEventLog } from "../../daemon/event-log.ts";
import { Fleet } from "../../daemon/push/fleet.ts";
import { defaultSpec } from "../../daemon/spec/defaults.ts";
import type { Spec } from "../../daemon/spec/spec.ts";
import { SpecSource } from "../../daemon/spec-source.ts";
import { openAddressBook } from "../../daemon/state/addresses.ts";
import { StateWriter } from "../../daemon/state/writer.ts";
import { buildStatus, notReady, type StatusInput } from "../../daemon/status.ts";
import { Ledger } from "../../daemon/telemetry/ledger.ts";
import { Traffic } from "../../daemon/telemetry/traffic.ts";
import { fromResources } from "../../proxy/contract/diff.ts";
import { eventually } from "../support/eventually.ts";
import { ControlPeer } from "./push/peer.ts";
import { container, sidecarOf, world } from "./support.ts";
import { http, report } from "./telemetry/series.ts";

const payments = [container("payment-v1"), container("payment-v2")] as const;
const cart = container("cart");
const split = (v1: number, v2: number) => `services:
  cart: { port: 8080 }
  payment:
    port: 8080
    versions: { v1: {}, v2: {} }
    split: { v1: ${v1}, v2: ${v2} }
`;

interface Setting {
  readonly lastGood?: Spec;
  readonly composeServices?: readonly string[] | null;
}

/** A control plane over real files, a World told by the test, and proxies that speak over real sockets. */
async function start(text: string | null, { lastGood, composeServices = null }: Setting = {}) {
  const folder = await mkdtemp(join(tmpdir(), "plane-"));
  const file = join(folder, "mesh.yaml");
  if (text !== null) await writeFile(file, text);
  const peers = new Map<string, ControlPeer>();
  const state = {
    world: world([cart, ...payments]) as World,
    applied: [] as Spec[],
    plans: [] as (readonly Action[])[],
    renewing: { leaving: null as string | null, replaced: new Set<string>() },
    incompatible: 0,
  };
  const fleet = new Fleet({
    wasServing: new Set(),
    open: async (id) => {
      const peer = peers.get(id) ?? (await ControlPeer.start());
      peers.set(id, peer);
      return peer.open();
    },
    nextEpoch: async () => Date.now(),
    sign: async () => ({ chain: "c", roots: "r", notAfterMs: Date.now() + 1e9, lifetimeMs: 1e9 }),
    now: Date.now,
    lifetimeMs: () => 1e9,
    log: () => undefined,
    onReport: () => undefined,
    onGone: () => undefined,
    onChange: () => undefined,
  });
  const events = createEventLog(Date.now);
  const source = new SpecSource({ projectDir: folder, meshFile: text === null ? null : file });
  const runner = { submit: (plan: readonly Action[]) => state.plans.push(plan) };
  const plane = new ControlPlane({
    project: "shop",
    meshName: "shop",
    image: "devmesh/proxy:test",
    source,
    world: { snapshot: () => state.world, isConnected: true },
    fleet,
    book: await openAddressBook(join(folder, "addresses.json"), new StateWriter()),
    events,
    lastGood: lastGood ?? null,
    knownServices: () => composeServices,
    jobs: () => new Set(),
    runner,
    hostsCleaned: () => new Set(),
    renewing: state.renewing,
    onIncompatible: () => state.incompatible++,
    now: Date.now,
    onApplied: (spec) => state.applied.push(spec),
    onChange: () => undefined,
  });
  onTestFinished(async () => {
    fleet.close();
    for (const peer of peers.values()) await peer[Symbol.asyncDispose]();
    // Addresses may still be on their way to the disk.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 });
  });
  const input = (): StatusInput => {
    if (plane.applied === null) throw new Error("nothing is applied");
    return {
      mesh: "shop",
      project: "shop",
      version: "0.1.0",
      pid: 1,
      startedAtMs: 0,
      file: source.file,
      applied: plane.applied,
      world: state.world,
      engineHost: "",
      isConnected: true,
      proxies: fleet.statuses(),
      failures: new Map(),
      held: new Set(),
      nowMs: 0,
      traffic: new Traffic(),
      now: 0,
      events,
      troubles: [],
      image: "devmesh/proxy:test",
      bypass: { edges: [], isComplete: true, unread: [] },
    };
  };
  return { file, folder, plane, fleet, state, peers, events, input };
}

const weights = ({ plane }: Awaited<ReturnType<typeof start>>) =>
  plane.applied?.compiled.services.find(({ name }) => name === "payment")?.split.map(({ weight }) => weight);

test("an edit is in force with the next round, and the revision grows", async () => {
  const started = await start(split(90, 10));
  await started.plane.round();
  expect(weights(started)).toEqual([90, 10]);
  await writeFile(started.file, split(50, 50));
  await started.plane.round();
  await started.plane.round();
  expect(weights(started)).toEqual([50, 50]);
  expect(started.plane.applied?.revision).toBe(2);
  expect(started.state.applied).toHaveLength(2);
});

test.each([
  ["does not parse", "services: [", 1],
  ["is empty, as an editor leaves it for a moment", "", 0],
  ["names a version that does not exist", split(90, 10).replace("v2: 10", "v9: 10"), 6],
  ["is gone", null, 0],
])("a file that %s changes nothing, is shown until it is fixed, and then goes away", async (_why, broken, line) => {
  const started = await start(split(90, 10));
  await started.plane.round();
  if (broken === null) await rm(started.file);
  else await writeFile(started.file, broken);
  await started.plane.round();
  const { applied } = started.plane;
  expect(weights(started)).toEqual([90, 10]);
  expect(applied).toMatchObject({ revision: 1, isFileInForce: false });
  const errors = applied?.diagnostics.filter(({ severity }) => severity === "error") ?? [];
  expect(errors.length).toBeGreaterThan(0);
  expect(errors[0]).toMatchObject({ file: "mesh.yaml", line });
  expect(buildStatus(started.input())).toMatchObject({ health: "degraded", config: { isInSync: false } });
  await writeFile(started.file, split(90, 10));
  await started.plane.round();
  expect(started.plane.applied).toMatchObject({ revision: 1, isFileInForce: true, diagnostics: [] });
});

test("a start with a broken file is refused before anything is planned", async () => {
  const { plane, state } = await start("services: [");
  const { compiled, diagnostics } = await plane.check();
  expect(compiled).toBeNull();
  expect(diagnostics.length).toBeGreaterThan(0);
  plane.setPlanning(true);
  await plane.round();
  expect(plane.applied).toBeNull();
  expect(state.plans).toEqual([]);
});

test("a daemon that is revived while the file is broken goes on with what was in force", async () => {
  const started = await start("services: [", { lastGood: { ...defaultSpec, mtls: "strict" } });
  await started.plane.round();
  expect(started.plane.applied).toMatchObject({ isFileInForce: false, spec: { mtls: "strict" } });
});

test("without a file the defaults are in force, and a file that appears is taken up", async () => {
  const started = await start(null);
  await started.plane.round();
  expect(started.plane.applied?.spec.mtls).toBe("permissive");
  await writeFile(join(started.folder, "mesh.yaml"), "mtls: strict\nservices: {}\n");
  await started.plane.round();
  expect(started.plane.applied?.spec.mtls).toBe("strict");
});

test("Docker is left alone until planning begins", async () => {
  const { plane, state } = await start(split(90, 10));
  await plane.round();
  expect(state.plans).toEqual([]);
  plane.setPlanning(true);
  await plane.round();
  expect(state.plans[0]?.filter(({ kind }) => kind === "create-sidecar")).toHaveLength(3);
});

test("an endpoint is balanced only once its sidecar serves in the namespace that its container has now", async () => {
  const started = await start(split(90, 10));
  const { plane, state, fleet, peers } = started;
  const own = [cart, ...payments].map((one) => sidecarOf(one));
  state.world = world([cart, ...payments], own);
  await plane.round();
  await fleet.waitFor(() => fleet.statuses().every(({ isSynced }) => isSynced), 5_000);
  await plane.round();
  const balanced = () => {
    const resources = peers.get(`sidecar-of-${cart.id}`)?.force?.resources;
    const known = resources === undefined ? [] : (fromResources(resources).endpoints.payment ?? []);
    return known.filter(({ isBalanced }) => isBalanced).map(({ id }) => id);
  };
  await eventually(() => expect(balanced()).toEqual(payments.map(({ id }) => id)));
  expect(notReady(started.input())).toEqual([]);
  expect(buildStatus(started.input()).health).toBe("ok");
  // payment-v2 was stopped: its share of the requests fails, which nobody may call healthy.
  state.world = world([cart, payments[0], { ...payments[1], state: "exited" }], own);
  await plane.round();
  await eventually(() => expect(notReady(started.input())).toEqual([]));
  expect(buildStatus(started.input()).health).toBe("degraded");
  // payment-v2 was restarted: its sidecar sits in the dead namespace and still says that it is ready.
  state.world = world([cart, payments[0], { ...payments[1], startedAt: "2026-01-01T01:00:00Z" }], own);
  await plane.round();
  await eventually(() => expect(balanced()).toEqual([payments[0].id]));
  await eventually(() => expect(notReady(started.input())).toEqual([expect.stringContaining("shop-payment-v2-1")]));
});

test("a starting container is held when it will get a sidecar, also while the World shows it as stopped", async () => {
  const { plane, state } = await start("services: { payment-v2: { mesh: false } }");
  expect(plane.wantsHold(cart)).toBe(false);
  plane.setPlanning(true);
  await plane.round();
  state.world = world([{ ...cart, state: "exited" }, ...payments]);
  expect(plane.wantsHold({ ...cart, state: "exited" })).toBe(true);
  expect(plane.wantsHold(payments[1])).toBe(false);
  expect(plane.wantsHold({ ...cart, hasHealthcheck: true })).toBe(false);
});

test("addresses stay where they were over a restart of the daemon", async () => {
  const started = await start(split(90, 10));
  await started.plane.round();
  const address = started.plane.applied?.compiled.services.map((service) => service.address);
  const book = await eventually(async () => {
    const opened = await openAddressBook(join(started.folder, "addresses.json"), new StateWriter());
    expect(opened.addresses.size).toBeGreaterThan(0);
    return opened;
  });
  expect(address?.every((one) => [...book.addresses.values()].includes(one))).toBe(true);
});

test("the status shows each container's own traffic, the last error with its time, and the file as people know it", async () => {
  const started = await start(split(90, 10));
  await started.plane.round();
  const traffic = new Traffic();
  const of = (container: string, version: string) => ({ destinationWorkload: container, destinationVersion: version });
  const [v1, v2] = payments.map(({ name }) => name);
  const labelled = [http(27, of(v1 ?? "", "v1")), http(3, { ...of(v2 ?? "", "v2"), status: 500 })];
  const growth = new Ledger().add("p", report("a", { http: labelled }));
  traffic.add(growth, 60_000);
  const status = buildStatus({
    ...started.input(),
    traffic,
    now: 61_000,
    startedAtMs: Date.parse("2026-01-01T00:00:00Z"),
  });
  expect(status.config.file).toBe("mesh.yaml");
  const payment = status.services.find(({ name }) => name === "payment");
  expect(payment).toMatchObject({ rps: 30, lastError: "500 to website", lastErrorAt: "2026-01-01T00:01:00.000Z" });
  expect(payment?.workloads.map(({ rps, errorRatio }) => [rps, errorRatio])).toEqual([
    [27, 0],
    [3, 1],
  ]);
});

test("a proxy of another version is named, and is as well as any other", async () => {
  const started = await start(split(90, 10));
  const { state, plane, fleet } = started;
  state.world = world(
    [cart, ...payments],
    [sidecarOf(cart, { image: "devmesh/proxy:older" }), ...payments.map((one) => sidecarOf(one))],
  );
  await plane.round();
  await fleet.waitFor(() => fleet.statuses().every(({ isSynced }) => isSynced), 5_000);
  await plane.round();
  await eventually(() => expect(notReady(started.input())).toEqual([]));
  const { services, health } = buildStatus(started.input());
  const reasons = services.flatMap(({ workloads }) => workloads.map(({ reason }) => reason));
  expect([health, reasons.filter((reason) => reason !== "")]).toEqual(["ok", [outdatedReason]]);
});

test("the status names what is missing, and why", async () => {
  const started = await start(`${split(90, 10)}gateway:\n  - { listen: 8080, to: cart }\n`);
  await started.plane.round();
  expect(notReady(started.input())).toHaveLength(4);
  const status = buildStatus({
    ...started.input(),
    failures: new Map([
      [
        "gateway/127.0.0.1:8080",
        { action: "create-gateway", reason: "the host port is in use", error: null, attempts: 1, retryAtMs: 0 },
      ],
    ]),
  });
  expect(status.health).toBe("error");
  expect(status.gateways).toEqual([
    {
      listen: "127.0.0.1:8080",
      url: "http://127.0.0.1:8080",
      to: "cart",
      state: "failed",
      reason: "the host port is in use",
    },
  ]);
  const far = buildStatus({ ...started.input(), engineHost: "build" }).gateways;
  expect(far).toMatchObject([{ listen: "127.0.0.1:8080", url: "http://build:8080", state: "starting", reason: "" }]);
  const payment = status.services.find(({ name }) => name === "payment");
  expect(payment?.workloads.map(({ version, sidecar }) => [version, sidecar])).toEqual([
    ["v1", "starting"],
    ["v2", "starting"],
  ]);
});
