import { expect, test } from "vitest";
import { countedNamespaces, servicesOf } from "../../daemon/counted-namespaces.ts";
import type { OwnContainer } from "../../daemon/docker/world.ts";
import { addressOwners } from "../../daemon/telemetry/address-owners.ts";
import { worldOf } from "../support/world.ts";

type Places = NonNullable<Parameters<typeof servicesOf>[0]>;

const startedAt = "2026-01-01T00:00:00Z";
const own = (name: string, more: Partial<OwnContainer> = {}): OwnContainer => ({
  id: `own-${name}`,
  name: `devmesh-${name}`,
  kind: "sidecar",
  owner: `${name}-id`,
  ownerStartedAt: startedAt,
  image: "",
  optionsHash: "",
  state: "running",
  startedAt: "",
  meshAddress: "",
  ...more,
});
const places = (names: readonly string[]): Places => ({
  services: names.map((name) => ({
    name: name.replace("-v2", ""),
    isDeclared: true,
    address: "",
    ports: [],
    mtls: "strict",
    versions: [],
    split: [],
    workloads: [{ containerId: `shop-${name}-1-id`, version: null }],
    openPorts: [],
  })),
  sidecars: names.map((name) => ({
    containerId: `shop-${name}-1-id`,
    container: `shop-${name}-1`,
    startedAt,
    service: name.replace("-v2", ""),
    version: null,
    hold: true,
    holdReason: "",
    warning: null,
    options: {},
  })),
  unmeshed: [],
});

test("every sidecar that runs is counted under the mesh's name for its container, and who lacks one is named", () => {
  const names = ["web", "pay-v2", "late"];
  const world = worldOf({
    containers: names.map((service) => ({ service })),
    own: [
      own("shop-web-1"),
      own("shop-pay-v2-1"),
      own("shop-gone-1", { owner: "gone-id" }),
      own("shop-late-1", { state: "exited" }),
      own("gateway", { kind: "gateway" }),
    ],
  });
  expect(countedNamespaces(world, places(names))).toEqual([
    {
      key: `shop-web-1-id@${startedAt}`,
      ownId: "own-shop-web-1",
      isWanted: true,
      owner: { service: "web", container: "shop-web-1" },
    },
    {
      key: `shop-pay-v2-1-id@${startedAt}`,
      ownId: "own-shop-pay-v2-1",
      isWanted: true,
      owner: { service: "pay", container: "shop-pay-v2-1" },
    },
    {
      key: `gone-id@${startedAt}`,
      ownId: "own-shop-gone-1",
      isWanted: false,
      owner: { service: "shop-gone-1", container: "shop-gone-1" },
    },
    {
      key: `shop-late-1-id@${startedAt}`,
      ownId: null,
      isWanted: true,
      owner: { service: "late", container: "shop-late-1" },
    },
  ]);
});

test("a sidecar of an earlier start counts for that one, and before anything is in force nobody is wanted", () => {
  const world = worldOf({ containers: [{ service: "web" }], own: [own("shop-web-1", { ownerStartedAt: "before" })] });
  expect(countedNamespaces(world, places(["web"])).map(({ ownId, isWanted }) => [ownId, isWanted])).toEqual([
    ["own-shop-web-1", false],
    [null, true],
  ]);
  expect(countedNamespaces(world, null)).toEqual([expect.objectContaining({ isWanted: false })]);
});

test("addresses belong to containers on every network and in both families, and gateways to the host", () => {
  const world = worldOf({ containers: [{ service: "web" }, { service: "pay-v2" }], ipv6On: ["default"] });
  const owners = new Map(addressOwners(world, servicesOf(places(["web", "pay-v2"]))));
  const web = { service: "web", container: "shop-web-1" };
  const pay = { service: "pay", container: "shop-pay-v2-1" };
  const host = { service: "host", container: "" };
  expect(Object.fromEntries(owners)).toEqual({
    "172.20.0.1": host,
    "fd00:20::1": host,
    "10.99.0.1": host,
    "172.20.0.2": web,
    "fd00:20::2": web,
    "10.99.0.2": web,
    "172.20.0.3": pay,
    "fd00:20::3": pay,
    "10.99.0.3": pay,
  });
});
