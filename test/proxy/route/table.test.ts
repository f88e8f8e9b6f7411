import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DestinationConfig, RouteConfig } from "../../../proxy/contract/config.ts";
import { buildTable } from "../../../proxy/route/table.ts";
import { cart, configOf, newSplits, payment, serviceIn, tableOf, v1 } from "./config.ts";

const route = (name: string, destinations: readonly DestinationConfig[]): RouteConfig => ({
  name,
  match: [],
  destinations,
  timeoutMs: 0,
  retry: { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] },
});
const to = (subset: string, weight: number): DestinationConfig => ({ service: "payment", subset, port: null, weight });

describe("what a name or an address means", () => {
  const table = tableOf();
  const meant = (key: { host?: string; address?: string }) => {
    const binding = key.host === undefined ? table.byAddress.get(key.address ?? "") : table.byHost.get(key.host);
    return binding && `${binding.service.config.name} ${binding.version} ${binding.endpointId}`;
  };

  test.each<[string, Parameters<typeof meant>[0], string | undefined]>([
    ["a service's name", { host: "payment" }, "payment null null"],
    ["its longest name", { host: "payment.shop.svc.cluster.local" }, "payment null null"],
    ["a version's name", { host: "payment-v2" }, "payment v2 null"],
    ["a name of nobody", { host: "paymen" }, undefined],
    ["a virtual address", { address: "10.99.200.1" }, "payment null null"],
    ["a version's virtual address", { address: "10.99.200.2" }, "payment v2 null"],
    ["a container's address on the mesh's network", { address: "10.99.0.98" }, "payment v2 b"],
    ["a container's address on the project's", { address: "172.20.0.97" }, "payment v1 a"],
    ["an address of nobody", { address: "10.99.0.1" }, undefined],
  ])("%s", (_why, key, expected) => {
    expect(meant(key)).toBe(expected);
  });

  test("a service without a virtual address is not found at an empty one", () => {
    expect(tableOf([payment({ address: "", versionHosts: [] })]).byAddress.get("")).toBe(undefined);
  });
});

test("a port is found by its aliases, and its own number wins over another's alias", () => {
  const ports = [
    { number: 8080, protocol: "http" as const, aliases: [80, 9000] },
    { number: 9000, protocol: "tcp" as const, aliases: [] },
  ];
  const { ports: found } = serviceIn(tableOf([payment({ ports })]), "payment");
  expect([80, 8080, 9000, 1].map((port) => found.get(port)?.number)).toEqual([8080, 8080, 9000, undefined]);
});

test("only ports that speak HTTP are worth sniffing for at unknown addresses", () => {
  const tcp = cart({ ports: [{ number: 6379, protocol: "tcp", aliases: [] }] });
  expect([...tableOf([payment(), tcp]).httpPorts].sort()).toEqual([80, 8080]);
});

test("a config that cannot be used is refused, and the splits in force are not touched", () => {
  const splits = newSplits();
  const good = configOf([payment({ routes: [route("default", [to("v1", 9), to("v2", 1)])] })]);
  const split = () => buildTable(good, splits).services.get("payment")?.routes[0]?.split;
  const before = split();
  const bad = { ...route("bad", [to("v1", 1)]), match: [{ path: { kind: "regex", value: "(" } as const }] };
  expect(() => buildTable(configOf([payment({ routes: [bad] })]), splits)).toThrow();
  expect(split()).toBe(before);
});

test("a service whose endpoints are not told has none", () => {
  expect(serviceIn(tableOf([payment()], {}), "payment").endpoints).toEqual([]);
  expect(serviceIn(tableOf([payment()], { payment: [v1] }), "payment").endpoints).toEqual([v1]);
});

test("a route that is put before another does not begin its block anew; two of one name are two", () => {
  const splits = newSplits();
  const shares = [to("v1", 9), to("v2", 1)];
  const build = (...routes: RouteConfig[]) =>
    serviceIn(buildTable(configOf([payment({ routes })]), splits), "payment").routes.map(({ split }) => split);
  const [before] = build(route("default", shares));
  const [, after] = build(route("beta", [to("v2", 1)]), route("default", shares));
  expect(after).toBe(before);
  const [one, two] = build(route("same", shares), route("same", shares));
  expect(one).not.toBe(two);
});

test("whatever else is reloaded in between, every block of a route holds exactly its weights", () => {
  const weights = fc
    .array(fc.integer({ min: 0, max: 20 }), { minLength: 1, maxLength: 4 })
    .filter((all) => all.some(Boolean));
  const edits = fc.array(fc.tuple(fc.nat(30), fc.boolean(), fc.boolean()), { maxLength: 20 });
  fc.assert(
    fc.property(weights, edits, (all, reloads) => {
      const splits = newSplits();
      const divisor = all.reduce(function gcd(a: number, b: number): number {
        return b === 0 ? a : gcd(b, a % b);
      }, 0);
      const shares = all.map((weight) => weight / divisor);
      const block = shares.reduce((a, b) => a + b, 0);
      const destinations = all.map((weight, i) => to(`v${i}`, weight));
      const chosen: (string | null)[] = [];
      for (const [requests, isBefore, isAfter] of [...reloads, [block, false, false] as const]) {
        const routes = [
          ...(isBefore ? [route("before", [to("v1", 1)])] : []),
          route("default", destinations),
          ...(isAfter ? [route("after", [to("v1", 2), to("v2", 1)])] : []),
        ];
        const table = buildTable(configOf([payment({ routes }), cart()]), splits);
        const split = serviceIn(table, "payment").routes.find(({ name }) => name === "default")?.split;
        for (let i = 0; i < requests; i++) chosen.push(split?.next()?.subset ?? null);
      }
      for (let start = 0; start + block <= chosen.length; start += block) {
        const part = chosen.slice(start, start + block);
        expect(shares.map((_, i) => part.filter((one) => one === `v${i}`).length)).toEqual(shares);
      }
    }),
  );
});
