import { expect, onTestFinished, test } from "vitest";
import type { OwnContainer } from "../../../daemon/docker/world.ts";
import { Fleet } from "../../../daemon/push/fleet.ts";
import { eventually } from "../../support/eventually.ts";
import { container, sidecarOf } from "../support.ts";
import { ControlPeer, configOf } from "./peer.ts";

const sidecar = sidecarOf(container("cart"));

async function start() {
  const peers = new Map<string, ControlPeer>([[sidecar.id, await ControlPeer.start()]]);
  const gone: OwnContainer[] = [];
  const signedFor: string[] = [];
  let epoch = 0;
  const fleet = new Fleet({
    wasServing: new Set(),
    open: async (id) => {
      const peer = peers.get(id);
      if (peer === undefined) throw new Error("no such container");
      return peer.open();
    },
    nextEpoch: async () => ++epoch,
    sign: async (_spki, identity) => {
      signedFor.push(identity);
      return { chain: "c", roots: "r", notAfterMs: Date.now() + 1e9, lifetimeMs: 1e9 };
    },
    now: Date.now,
    lifetimeMs: () => 1e9,
    log: () => undefined,
    onReport: () => undefined,
    onGone: (own) => gone.push(own),
    onChange: () => undefined,
  });
  onTestFinished(async () => {
    fleet.close();
    for (const peer of peers.values()) await peer[Symbol.asyncDispose]();
  });
  return { fleet, peers, gone, signedFor, peer: peers.get(sidecar.id) };
}

test("waitReady waits for a sidecar that is not known yet", async () => {
  const { fleet } = await start();
  const waiting = fleet.waitReady(sidecar.id, 5_000);
  fleet.follow([sidecar]);
  fleet.push(new Map([[sidecar.owner, configOf("cart")]]));
  expect(await waiting).toBe(true);
  expect([...fleet.servingSidecars()]).toEqual([sidecar.id]);
});

test("waitReady gives up at its time", async () => {
  const { fleet } = await start();
  expect(await fleet.waitReady("nobody", 20)).toBe(false);
});

test("a proxy gets the config and the identity of the container that owns it, and no other", async () => {
  const { fleet, peers, signedFor } = await start();
  const other = sidecarOf(container("payment"));
  const otherPeer = await ControlPeer.start();
  peers.set(other.id, otherPeer);
  fleet.follow([sidecar, other]);
  fleet.push(
    new Map([
      [sidecar.owner, configOf("cart")],
      [other.owner, configOf("payment")],
    ]),
  );
  await fleet.waitFor(() => fleet.statuses().every(({ isSynced }) => isSynced), 5_000);
  const nodeOf = (peer: ControlPeer | undefined) => JSON.parse(peer?.force?.resources.get("node") ?? "{}").service;
  expect([nodeOf(peers.get(sidecar.id)), nodeOf(otherPeer)]).toEqual(["cart", "payment"]);
  expect(signedFor.sort()).toEqual([
    "spiffe://cluster.local/ns/shop/sa/cart",
    "spiffe://cluster.local/ns/shop/sa/payment",
  ]);
});

test.each([
  ["stopped", { state: "exited" }],
  ["started anew", { startedAt: "2026-01-01T09:00:00Z" }],
] as const)("a sidecar that was %s loses its session and its readiness", async (_why, change) => {
  const { fleet, gone, peer } = await start();
  fleet.follow([sidecar]);
  fleet.push(new Map([[sidecar.owner, configOf("cart")]]));
  expect(await fleet.waitReady(sidecar.id, 5_000)).toBe(true);
  if (peer !== undefined) Object.assign(peer, { force: null, certificateNotAfterMs: null });
  fleet.follow([{ ...sidecar, ...change }]);
  expect(gone.map(({ id }) => id)).toEqual([sidecar.id]);
  expect(fleet.status(sidecar.id)?.isReady ?? false).toBe(false);
});

test("following the same World again changes nothing", async () => {
  const { fleet, peer } = await start();
  fleet.follow([sidecar]);
  await eventually(() => expect(fleet.status(sidecar.id)?.state).toBe("connected"));
  fleet.follow([{ ...sidecar }]);
  expect(peer?.connections).toBe(1);
});

test("one-shots and containers that do not run have no channel", async () => {
  const { fleet } = await start();
  fleet.follow([
    { ...sidecar, kind: "one-shot" },
    { ...sidecar, id: "x", state: "created" },
  ]);
  expect(fleet.statuses()).toEqual([]);
});

test("waitAdopted is over when every proxy has spoken", async () => {
  const { fleet } = await start();
  fleet.follow([sidecar]);
  expect(await fleet.waitAdopted(5_000)).toBe(true);
  fleet.follow([sidecar, { ...sidecar, id: "unreachable" }]);
  expect(await fleet.waitAdopted(50)).toBe(false);
});
