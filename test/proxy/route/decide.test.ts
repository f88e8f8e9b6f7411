import { describe, expect, test } from "vitest";
import type { DestinationConfig, RouteConfig } from "../../../proxy/contract/config.ts";
import type { RequestHead } from "../../../proxy/http/message.ts";
import { bindingOf, decide, hostOf } from "../../../proxy/route/decide.ts";
import type { Binding } from "../../../proxy/route/table.ts";
import { cart, payment, serviceIn, tableOf, v1, v2 } from "./config.ts";
import { requestHead } from "./scripted.ts";

test.each([
  ["a name", "payment", "payment"],
  ["with a port", "payment:8080", "payment"],
  ["case does not matter", "Payment.Shop", "payment.shop"],
  ["a last dot does not either", "payment.shop.:80", "payment.shop"],
  ["an IPv6 address", "[fe80::1]:80", "fe80::1"],
  ["an IPv6 address without its end", "[fe80", ""],
  ["nothing", "", ""],
])("host: %s", (_why, authority, expected) => {
  expect(hostOf(authority)).toBe(expected);
});

describe("who a request is for", () => {
  const table = tableOf([payment(), cart({ ports: [{ number: 8080, protocol: "http", aliases: [80] }] })]);
  const at = (address: string): Binding | null => table.byAddress.get(address) ?? null;

  test.each<[string, Partial<RequestHead>, string, number, string | null]>([
    ["the Host, where it names a service on that port", { authority: "cart" }, "10.99.200.1", 8080, "cart null"],
    ["by an alias as well", { authority: "cart:80" }, "10.99.200.1", 80, "cart null"],
    ["what was dialled, where the Host names nobody", { authority: "x.com" }, "10.99.200.1", 8080, "payment null"],
    [
      "what was dialled, where that service has no such port",
      { authority: "cart" },
      "10.99.200.1",
      7000,
      "payment null",
    ],
    ["what was dialled, without a Host", { authority: "" }, "10.99.200.1", 8080, "payment null"],
    ["a version, by name", { authority: "payment-v2" }, "10.99.200.1", 8080, "payment v2"],
    [
      "the container that was dialled, whatever name of its service is written",
      { authority: "payment" },
      "172.20.0.97",
      8080,
      "payment v1 a",
    ],
    ["another service, also where a container was dialled", { authority: "cart" }, "172.20.0.97", 8080, "cart null"],
    ["a service, where the address means nothing", { authority: "cart" }, "192.0.2.1", 8080, "cart null"],
    ["nobody", { authority: "x.com" }, "192.0.2.1", 8080, null],
    [
      "the HTTP proxy that was dialled, where the target is a URL",
      { authority: "cart", isAbsoluteForm: true },
      "10.99.200.1",
      8080,
      "payment null",
    ],
  ])("%s", (_why, parts, address, port, expected) => {
    const found = bindingOf(table, requestHead(parts), { binding: at(address), port });
    const endpoint = found?.endpointId == null ? "" : ` ${found.endpointId}`;
    expect(found && `${found.service.config.name} ${found.version}${endpoint}`).toBe(expected);
  });
});

const to = (subset: string | null, parts: Partial<DestinationConfig> = {}): DestinationConfig => ({
  service: "payment",
  subset,
  port: null,
  weight: 1,
  ...parts,
});
const route = (name: string, parts: Partial<RouteConfig> = {}): RouteConfig => ({
  name,
  match: [],
  destinations: [to(null)],
  timeoutMs: 0,
  retry: { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] },
  ...parts,
});

describe("decide", () => {
  const decided = (
    routes: readonly RouteConfig[],
    head: Partial<RequestHead> = {},
    binding: Partial<Binding> = {},
    port = 80,
  ) => {
    const table = tableOf([payment({ routes }), cart()]);
    const service = serviceIn(table, "payment");
    const decision = decide(table, requestHead(head), {
      binding: { service, version: null, endpointId: null, ...binding },
      port,
    });
    if (decision.kind === "fail")
      return `${decision.failure.status} ${decision.failure.flag} ${decision.failure.reason}`;
    const { destination, routeName, timeoutMs } = decision;
    const current = serviceIn(table, destination.service.config.name);
    const candidates = destination.candidates(current).map(({ id }) => id);
    return `${routeName}: ${destination.service.config.name}:${destination.port} ${destination.version} [${candidates}] ${timeoutMs}`;
  };
  const beta = route("beta", {
    match: [{ headers: { "x-beta": { kind: "present" } } }],
    destinations: [to("v2")],
    timeoutMs: 5,
  });

  test("the first route that fits wins", () => {
    const fields = requestHead().fields;
    fields.append("X-Beta", "1");
    expect(decided([beta, route("default")], { fields })).toBe("beta: payment:8080 v2 [b] 5");
    expect(decided([beta, route("default")])).toBe("default: payment:8080 null [a,b] 0");
  });

  test("what fits none is 404 NR", () => {
    expect(decided([beta], { method: "POST", target: "/x?secret=1" })).toBe("404 NR no route of payment fits POST /x");
  });

  test("a route by port knows the service's port, not the alias that was dialled", () => {
    const byPort = route("port", { match: [{ port: 8080 }] });
    expect(decided([byPort])).toBe("port: payment:8080 null [a,b] 0");
    expect(decided([byPort], {}, {}, 81)).toMatch(/^404 NR/);
  });

  test.each<[string, DestinationConfig, string]>([
    [
      "another service, at the port that the route names",
      to(null, { service: "cart", port: 9090 }),
      "r: cart:9090 null [] 0",
    ],
    ["its alias", to(null, { service: "cart", port: 80 }), "r: cart:9090 null [] 0"],
    [
      "a service that is not there",
      to(null, { service: "nobody" }),
      "503 NC route r of payment leads to nobody, which is not in the mesh or shares no network with the caller",
    ],
    [
      "a subset that nobody declared",
      to("v9"),
      "503 NC route r of payment leads to subset v9 of payment, which has only v1, v2",
    ],
    ["weight 0", to(null, { weight: 0 }), "503 NC every destination of route r of payment has weight 0"],
  ])("a route to %s", (_why, destination, expected) => {
    expect(decided([route("r", { destinations: [destination] })])).toBe(expected);
  });

  test("a version or a container goes past the routes, with the policies of the last one", () => {
    const routes = [beta, route("default", { timeoutMs: 7 })];
    expect(decided(routes, {}, { version: "v2" })).toBe("version v2: payment:8080 v2 [b] 7");
    expect(decided(routes, {}, { version: "v1", endpointId: "a" })).toBe("address: payment:8080 v1 [a] 7");
  });
});

describe("candidates", () => {
  const out = { ...v2, isBalanced: false };
  const candidates = (binding: Partial<Binding>) => {
    const table = tableOf([payment()], { payment: [v1, out] });
    const service = serviceIn(table, "payment");
    const target = { binding: { service, version: null, endpointId: null, ...binding }, port: 8080 };
    const decision = decide(table, requestHead(), target);
    if (decision.kind === "fail") return expect.unreachable();
    const next = serviceIn(tableOf([payment()], { payment: [out, { ...v1, id: "later" }] }), "payment");
    return [service, next].map((current) => decision.destination.candidates(current).map(({ id }) => id));
  };

  test("those that take part in balancing, as the table of that moment has them", () => {
    expect(candidates({})).toEqual([["a"], ["later"]]);
    expect(candidates({ version: "v2" })).toEqual([[], []]);
  });

  test("a container that is dialled by its address gets the call, whether or not it takes part", () => {
    expect(candidates({ version: "v2", endpointId: "b" })).toEqual([["b"], ["b"]]);
    expect(candidates({ version: "v1", endpointId: "a" })).toEqual([["a"], []]);
  });
});
