// What holds for every input: determinism, endpoints only from ready containers, and no news for proxies that are not concerned.
import fc from "fast-check";
import { expect, test } from "vitest";
import { addressNames, compile } from "../../../daemon/compile/compile.ts";
import type { CompileInput } from "../../../daemon/compile/model.ts";
import type { World } from "../../../daemon/docker/world.ts";
import type { ProxyConfig } from "../../../proxy/contract/config.ts";
import { canonicalJson, fromResources, hashResources, toResources } from "../../../proxy/contract/diff.ts";
import { type ContainerOptions, worldOf } from "../../support/world.ts";
import { compiled, gateway, inputOf, origin, proxyOf, service, spec, version } from "./support.ts";

const word = (...words: string[]) => fc.constantFrom(...words);

const containers: fc.Arbitrary<readonly ContainerOptions[]> = fc
  .array(
    fc.record({
      service: word("web", "cart", "payment", "payment-v2", "db"),
      on: fc.uniqueArray(word("front", "back", "default"), { maxLength: 3 }),
      state: word(
        "running",
        "running",
        "running",
        "paused",
        "exited",
        "restarting",
        "created",
      ) as fc.Arbitrary<"running">,
      isOneOff: fc.integer({ max: 6, min: 0 }).map((number) => number === 0),
      isOnMesh: fc.integer({ max: 6, min: 0 }).map((number) => number > 0),
      hasHealthcheck: fc.boolean(),
      health: word("healthy", "unhealthy", "starting") as fc.Arbitrary<"healthy">,
      aliases: fc.uniqueArray(word("x", "y", "payment"), { maxLength: 2 }),
      exposedTcp: fc.uniqueArray(fc.constantFrom(80, 5432, 8080), { maxLength: 2 }),
      exposedUdp: fc.constantFrom([], [], [], [53]),
      isOptedOut: fc.integer({ max: 8, min: 0 }).map((number) => number === 0),
    }),
    { maxLength: 12 },
  )
  .map((all) => all.map((one, index) => ({ ...one, number: index + 1 })));

const someSpec = spec({
  services: [
    service("payment", {
      versions: [version("v1"), version("v2")],
      split: [
        { version: "v1", weight: 90 },
        { version: "v2", weight: 10 },
      ],
    }),
    service("db", { allow: [{ origin, from: ["web"], methods: [], paths: [] }] }),
  ],
  gateways: [gateway({ to: "web", toPort: 80 })],
});

const hashOf = (config: ProxyConfig | undefined) => (config === undefined ? null : hashResources(toResources(config)));
const textOf = (input: CompileInput) => {
  const { proxies, ...rest } = compile(input);
  return canonicalJson({ ...rest, proxies: [...proxies] });
};

test("the order in which Docker lists containers and networks does not matter", () => {
  fc.assert(
    fc.property(containers, fc.infiniteStream(fc.nat()), (some, random) => {
      const input = inputOf({ world: worldOf({ containers: some }), spec: someSpec });
      const keyed = input.world.containers.map((container) => ({ container, key: random.next().value ?? 0 }));
      const shuffled = keyed.toSorted((a, b) => a.key - b.key).map(({ container }) => container);
      expect(textOf({ ...input, world: { ...input.world, containers: shuffled } })).toBe(textOf(input));
      expect(addressNames({ ...input, world: { ...input.world, containers: shuffled } })).toEqual(addressNames(input));
    }),
  );
});

test("every endpoint is a container that runs, has a ready sidecar, and is healthy or has no healthy one for its calls", () => {
  fc.assert(
    fc.property(containers, fc.integer({ min: 1, max: 5 }), (some, nth) => {
      const world = worldOf({ containers: some });
      const ready = new Set(world.containers.filter((_, index) => index % nth === 0).map(({ id }) => id));
      const result = compiled({ world, spec: someSpec, readySidecars: ready });
      const byId = new Map(world.containers.map((container) => [container.id, container]));
      const isHealthy = (id: string) => byId.get(id)?.hasHealthcheck !== true || byId.get(id)?.health === "healthy";
      for (const { endpoints } of result.proxies.values()) {
        for (const balanced of Object.values(endpoints).map((all) => all.filter(({ isBalanced }) => isBalanced))) {
          const healthy = balanced.filter((one) => isHealthy(one.id));
          for (const { id, address, version, subsets } of balanced) {
            const others = healthy.filter((one) => one.version === version);
            const isNeeded = !subsets.every((subset) => others.some((one) => one.subsets.includes(subset)));
            expect(isHealthy(id) || others.length === 0 || isNeeded).toBe(true);
            expect(ready).toContain(id);
            expect(byId.get(id)).toMatchObject({ state: "running", isOneOff: false, isOptedOut: false });
            expect(address).toMatch(/^10\.99\./);
          }
        }
      }
    }),
  );
});

test("a config survives the way to the proxy, and knows endpoints of exactly its services", () => {
  fc.assert(
    fc.property(containers, (some) => {
      for (const config of compiled({ world: worldOf({ containers: some }), spec: someSpec }).proxies.values()) {
        expect(canonicalJson(fromResources(toResources(config)))).toBe(canonicalJson(config));
        expect(Object.keys(config.endpoints)).toEqual(Object.keys(config.services));
      }
    }),
  );
});

test("who may call is exactly who knows: callers and visibility are one rule seen from both ends", () => {
  fc.assert(
    fc.property(containers, (some) => {
      const { proxies } = compiled({ world: worldOf({ containers: some }), spec: someSpec });
      for (const caller of proxies.values()) {
        for (const callee of proxies.values()) {
          const { inbound, node } = callee;
          // One-offs do not place their service on a network; where it has no other container there is nothing to call.
          if (inbound === null || caller.endpoints[node.service]?.length === 0) continue;
          if (Object.hasOwn(caller.services, node.service)) expect(inbound.callers).toContain(caller.node.identity);
        }
      }
    }),
  );
});

const apart: readonly ContainerOptions[] = [
  { service: "web", on: ["front"] },
  { service: "api", on: ["front"] },
  { service: "db", on: ["back"] },
  { service: "job", on: ["back"] },
];

const restarted = (world: World, name: string, change: object): World => ({
  ...world,
  containers: world.containers.map((container) => (container.name === name ? { ...container, ...change } : container)),
});

test("what happens to a service that it may not reach does not concern a proxy", () => {
  const before = inputOf({
    world: worldOf({ containers: apart }),
    spec: spec({ gateways: [gateway({ to: "web", toPort: 80 })] }),
  });
  const hashesOf = (input: CompileInput) => {
    const { proxies } = compile(input);
    return Object.fromEntries([...proxies].map(([key, config]) => [key, hashOf(config)]));
  };
  const base = hashesOf(before);
  const changes: readonly CompileInput[] = [
    { ...before, world: restarted(before.world, "shop-db-1", { state: "exited", startedAt: "" }) },
    { ...before, readySidecars: new Set([...before.readySidecars].filter((id) => id !== "shop-db-1-id")) },
    { ...before, spec: { ...before.spec, services: [service("db", { timeoutMs: 5, mtls: "strict", allow: [] })] } },
    {
      ...before,
      world: { ...before.world, containers: before.world.containers.filter(({ name }) => name !== "shop-job-1") },
      knownServices: null,
    },
  ];
  for (const [index, changed] of changes.entries()) {
    const after = hashesOf(changed);
    for (const key of ["shop-web-1-id", "shop-api-1-id", "gateway/127.0.0.1:8080"])
      expect(after[key], `change ${index}`).toBe(base[key]);
    expect(after["shop-db-1-id"] === base["shop-db-1-id"] && after["shop-job-1-id"] === base["shop-job-1-id"]).toBe(
      false,
    );
  }
});

test("an event of a container changes endpoints and nothing else", () => {
  const before = inputOf({ world: worldOf({ containers: apart }) });
  const after = compile({ ...before, readySidecars: new Set(["shop-web-1-id"]) });
  const [old, fresh] = [compile(before), after].map((result) => toResources(proxyOf(result, "shop-web-1")));
  const changed = [...(fresh ?? [])].filter(([key, text]) => old?.get(key) !== text).map(([key]) => key);
  expect(changed).toEqual(["endpoints/api"]);
});

test("a weight changes that service and nothing else", () => {
  const weights = (v2: number) =>
    spec({
      services: [
        service("web", {
          versions: [version("v1", "web"), version("v2", "api")],
          split: [
            { version: "v1", weight: 100 - v2 },
            { version: "v2", weight: v2 },
          ],
        }),
      ],
    });
  const [old, fresh] = [10, 50].map((v2) =>
    toResources(proxyOf(compiled({ world: worldOf({ containers: apart }), spec: weights(v2) }), "shop-web-1")),
  );
  const changed = [...(fresh ?? [])].filter(([key, text]) => old?.get(key) !== text).map(([key]) => key);
  expect(changed).toEqual(["services/web"]);
});

test("names that JavaScript's objects have of their own are ordinary names", () => {
  const world = worldOf({ containers: [{ service: "constructor" }, { service: "a", name: "__proto__" }] });
  const config = proxyOf(compiled({ world }), "shop-constructor-1");
  expect(Object.keys(config.services)).toEqual(["a", "constructor"]);
  expect(Object.keys(config.node.names).sort()).toEqual(["__proto__", "shop-constructor-1"]);
});

test("nothing at all compiles to nothing", () => {
  expect(compiled({ world: worldOf({ containers: [] }) })).toEqual({
    proxies: new Map(),
    diagnostics: [],
    services: [],
    sidecars: [],
    gateways: [],
    unmeshed: [],
  });
});
