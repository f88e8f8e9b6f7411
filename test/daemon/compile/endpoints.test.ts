import { describe, expect, test } from "vitest";
import { type ContainerOptions, worldOf } from "../../support/world.ts";
import { compiled, destinationRule, endpointIds, inputOf, proxyOf, service, spec, version } from "./support.ts";

const caller: ContainerOptions = { service: "caller" };

describe("an endpoint is a container that can answer now", () => {
  test.each<[string, Partial<ContainerOptions>, boolean]>([
    ["a running container", {}, true],
    ["a paused one is none", { state: "paused" }, false],
    ["a restarting one is none", { state: "restarting" }, false],
    ["an exited one is none", { state: "exited" }, false],
    ["a created one is none", { state: "created" }, false],
    ["a one-off is none", { isOneOff: true }, false],
    ["one that is not on the mesh's network is none", { isOnMesh: false }, false],
    ["a healthy one is", { hasHealthcheck: true, health: "healthy" }, true],
    ["an unhealthy one is, where there is no other", { hasHealthcheck: true, health: "unhealthy" }, true],
    ["one that has not been checked yet is, too", { hasHealthcheck: true, health: "starting" }, true],
  ])("%s", (_why, options, expected) => {
    const world = worldOf({ containers: [caller, { service: "a", ...options }] });
    expect(endpointIds(compiled({ world }), "a").length === 1).toBe(expected);
  });

  test("without a ready sidecar it is none", () => {
    const world = worldOf({ containers: [caller, { service: "a" }, { service: "a", number: 2 }] });
    expect(endpointIds(compiled({ world, readySidecars: new Set(["shop-a-2-id"]) }), "a")).toEqual(["shop-a-2"]);
  });
});

describe("a container that is not healthy", () => {
  const a = (number: number, health: ContainerOptions["health"], more: Partial<ContainerOptions> = {}) =>
    ({ service: "a", number, hasHealthcheck: true, ...(health === undefined ? {} : { health }), ...more }) as const;

  test.each<[string, ContainerOptions[], string[]]>([
    ["gets nothing where another is healthy", [a(1, "starting"), a(2, "healthy")], ["shop-a-2"]],
    ["is called where none is healthy", [a(1, "starting"), a(2, "unhealthy")], ["shop-a-1", "shop-a-2"]],
    [
      "is no other for one that stops",
      [a(1, "healthy", { isStopping: true }), a(2, "starting")],
      ["shop-a-1", "shop-a-2"],
    ],
  ])("%s", (_why, containers, expected) => {
    expect(endpointIds(compiled({ world: worldOf({ containers: [caller, ...containers] }) }), "a")).toEqual(expected);
  });
});

describe("a container that was told to stop", () => {
  const a = (number: number, options: Partial<ContainerOptions> = {}): ContainerOptions => ({
    service: "a",
    number,
    ...options,
  });
  const stopping = { isStopping: true };
  const [v1, v2] = [
    (more: object = {}) => ({ service: "pay", ...more }),
    (more: object = {}) => ({ service: "pay-v2", ...more }),
  ];

  test.each<[string, ContainerOptions[], string[]]>([
    ["gets nothing new where there is another", [a(1), a(2, stopping)], ["shop-a-1"]],
    ["goes on where it is the only one", [a(1, stopping)], ["shop-a-1"]],
    ["goes on where all others stop as well", [a(1, stopping), a(2, stopping)], ["shop-a-1", "shop-a-2"]],
    ["goes on where the others cannot answer", [a(1, stopping), a(2, { state: "paused" })], ["shop-a-1"]],
    ["takes no more part than it did", [a(1, { ...stopping, state: "paused" })], []],
  ])("%s", (_why, containers, expected) => {
    expect(endpointIds(compiled({ world: worldOf({ containers: [caller, ...containers] }) }), "a")).toEqual(expected);
  });

  test("another version is no other: its calls are for that one", () => {
    const services = [service("pay", { versions: [version("v1"), version("v2")] })];
    const balanced = (containers: ContainerOptions[]) =>
      endpointIds(
        compiled({ world: worldOf({ containers: [caller, ...containers] }), spec: spec({ services }) }),
        "pay",
      );
    expect(balanced([v1(stopping), v2()])).toEqual(["shop-pay-1", "shop-pay-v2-1"]);
    expect(balanced([v1(stopping), v1({ number: 2 }), v2()])).toEqual(["shop-pay-2", "shop-pay-v2-1"]);
  });

  test("another that is not in each of its subsets is no other", () => {
    const destinationRules = [destinationRule("a", { gold: { tier: "gold" } })];
    const containers = [caller, a(1, { ...stopping, labels: { tier: "gold" } }), a(2)];
    const result = compiled({ world: worldOf({ containers }), spec: spec({ destinationRules }) });
    expect(endpointIds(result, "a")).toEqual(["shop-a-1", "shop-a-2"]);
  });
});

test("its address is the mesh's, its aliases are its others", () => {
  const world = worldOf({ containers: [{ service: "a", on: ["x", "y"] }] });
  expect(proxyOf(compiled({ world }), "shop-a-1").endpoints.a).toEqual([
    {
      id: "shop-a-1-id",
      startedAt: "2026-01-01T00:00:00Z",
      isBalanced: true,
      workload: "shop-a-1",
      version: null,
      subsets: [],
      address: "10.99.0.2",
      aliases: ["172.20.0.2", "172.21.0.2"],
    },
  ]);
});

const subsetsIn = (containers: readonly ContainerOptions[], parts: Parameters<typeof spec>[0]) => {
  const result = compiled({ world: worldOf({ containers }), spec: spec(parts) });
  const [first = ""] = result.proxies.keys();
  const endpoints = Object.values(proxyOf(result, first).endpoints).flat();
  return Object.fromEntries(endpoints.map(({ workload, subsets }) => [workload, subsets.join(" ")]));
};

describe("subsets", () => {
  const containers: ContainerOptions[] = [
    { service: "payment", labels: { tier: "gold" } },
    { service: "payment-v2", labels: { version: "2.1" } },
  ];
  const payment = service("payment", { versions: [version("v1"), version("v2")] });

  test.each<[string, Parameters<typeof spec>[0], Record<string, string>]>([
    ["a native version is one", { services: [payment] }, { "shop-payment-1": "v1", "shop-payment-v2-1": "v2" }],
    [
      "a DestinationRule selects by the container's labels",
      {
        services: [payment],
        destinationRules: [destinationRule("payment", { gold: { tier: "gold" }, new: { version: "2.1" } })],
      },
      { "shop-payment-1": "gold v1", "shop-payment-v2-1": "new v2" },
    ],
    [
      "by the implied labels app and version as well",
      {
        services: [payment],
        destinationRules: [
          destinationRule("payment.shop.svc.cluster.local", { all: { app: "payment" }, one: { version: "v1" } }),
        ],
      },
      { "shop-payment-1": "all one v1", "shop-payment-v2-1": "all v2" },
    ],
    [
      "a version that is not said is called latest",
      { destinationRules: [destinationRule("payment", { plain: { version: "latest" } })] },
      { "shop-payment-1": "plain", "shop-payment-v2-1": "2.1" },
    ],
    [
      "rules for one host are merged, and the first subset of a name counts",
      {
        services: [payment],
        destinationRules: [
          destinationRule("payment", { s: { tier: "gold" } }),
          destinationRule("payment.shop", { s: { app: "payment" }, t: { app: "payment" } }),
        ],
      },
      { "shop-payment-1": "s t v1", "shop-payment-v2-1": "t v2" },
    ],
    [
      "a rule in another namespace is another's",
      { services: [payment], destinationRules: [destinationRule("payment", { all: { app: "payment" } }, "prod")] },
      { "shop-payment-1": "v1", "shop-payment-v2-1": "v2" },
    ],
  ])("%s", (_why, parts, expected) => {
    expect(subsetsIn(containers, parts)).toEqual(expected);
  });
});

test("the input that a test builds is complete: every sidecar is ready, every name has an address", () => {
  const input = inputOf({ world: worldOf({ containers: [caller] }) });
  expect([...input.addresses.keys()]).toEqual(["caller"]);
  expect([...input.readySidecars]).toEqual(["shop-caller-1-id"]);
});
