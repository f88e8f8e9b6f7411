import { describe, expect, test } from "vitest";
import { worldOf } from "../../support/world.ts";
import { compiled, gateway, knownTo, origin, proxyOf, route, service, spec } from "./support.ts";

const callersOf = (result: ReturnType<typeof compiled>, name: string) =>
  proxyOf(result, name).inbound?.callers.map((caller) => caller.split("/sa/")[1]);

const allow = (from: string) => [{ origin, from: [from], methods: [], paths: [] }];

const split = worldOf({
  containers: [
    { service: "web", on: ["front"] },
    { service: "api", on: ["front", "back"] },
    { service: "db", on: ["back"] },
  ],
});

describe("services reach each other only where a network of the project's joins them", () => {
  test("a proxy knows the services on its container's networks", () => {
    const result = compiled({ world: split });
    expect(knownTo(result, "shop-web-1")).toEqual(["api", "web"]);
    expect(knownTo(result, "shop-api-1")).toEqual(["api", "db", "web"]);
    expect(knownTo(result, "shop-db-1")).toEqual(["api", "db"]);
  });

  test("and is called by those only, although all share the mesh's network", () => {
    const result = compiled({ world: split });
    expect(callersOf(result, "shop-web-1")).toEqual(["api", "web"]);
    expect(callersOf(result, "shop-api-1")).toEqual(["api", "db", "web"]);
    expect(callersOf(result, "shop-db-1")).toEqual(["api", "db"]);
  });

  test("an allow rule that names the caller joins them", () => {
    const result = compiled({ world: split, spec: spec({ services: [service("db", { allow: allow("web") })] }) });
    expect(knownTo(result, "shop-web-1")).toEqual(["api", "db", "web"]);
    expect(callersOf(result, "shop-db-1")).toEqual(["api", "db", "web"]);
    expect(knownTo(result, "shop-db-1")).toEqual(["api", "db"]);
  });

  test.each(["*", "outside"])("an allow rule for %s names nobody", (from) => {
    const result = compiled({ world: split, spec: spec({ services: [service("db", { allow: allow(from) })] }) });
    expect(knownTo(result, "shop-web-1")).toEqual(["api", "web"]);
    expect(callersOf(result, "shop-db-1")).toEqual(["api", "db"]);
  });

  test("containers on Docker's default bridge share it", () => {
    const labels = { "devmesh.mesh": "shop" };
    const world = worldOf({
      containers: [
        { service: null, name: "a", labels, on: ["bridge"] },
        { service: null, name: "b", labels, on: ["bridge"] },
        { service: "c" },
      ],
    });
    expect(knownTo(compiled({ world }), "a")).toEqual(["a", "b"]);
  });

  test("a stopped container still places its service", () => {
    const world = worldOf({
      containers: [
        { service: "a", on: ["x"] },
        { service: "b", on: ["x"], state: "exited" },
        { service: "c", on: ["y"], state: "exited" },
      ],
    });
    expect(knownTo(compiled({ world }), "shop-a-1")).toEqual(["a", "b"]);
  });

  test("a service without any container is known to all, so that its name goes on to answer", () => {
    const result = compiled({ world: split, knownServices: ["web", "api", "db", "mail"] });
    for (const name of ["web", "api", "db"]) expect(knownTo(result, `shop-${name}-1`)).toContain("mail");
    expect(proxyOf(result, "shop-web-1").endpoints.mail).toEqual([]);
  });

  test("a one-off calls with its service's identity and is nobody's target", () => {
    const world = worldOf({
      containers: [
        { service: "job", on: ["back"], name: "job-run", isOneOff: true },
        { service: "job", on: ["front"] },
        { service: "db", on: ["back"] },
      ],
    });
    const result = compiled({ world });
    expect(knownTo(result, "job-run")).toEqual(["db"]);
    expect(callersOf(result, "shop-db-1")).toEqual(["db", "job"]);
    expect(knownTo(result, "shop-db-1")).toEqual(["db"]);
    expect(proxyOf(result, "job-run").node.identity).toBe("spiffe://cluster.local/ns/shop/sa/job");
  });
});

describe("a gateway", () => {
  const routes = [route({ to: [{ service: "api", version: null, weight: 1 }] })];
  const website = service("web", { ports: [{ number: 8080, protocol: "http" }], routes });
  const result = compiled({ world: split, spec: spec({ services: [website], gateways: [gateway({ to: "web" })] }) });
  const config = proxyOf(result, "gateway/127.0.0.1:8080");

  test("knows its target and where the target's routes lead, and nothing else", () => {
    expect(Object.keys(config.services)).toEqual(["api", "web"]);
    expect(config.inbound).toBeNull();
    expect(config.node).toMatchObject({ kind: "gateway", service: "gateway", version: null });
  });

  test("may call those and no other", () => {
    expect(callersOf(result, "shop-web-1")).toEqual(["api", "gateway", "web"]);
    expect(callersOf(result, "shop-api-1")).toEqual(["api", "db", "gateway", "web"]);
    expect(callersOf(result, "shop-db-1")).toEqual(["api", "db"]);
  });

  test("never shares an identity with a service that is called gateway", () => {
    const world = worldOf({ containers: [{ service: "gateway" }, { service: "web", exposedTcp: [80] }] });
    const services = [service("web", { allow: allow("gateway") })];
    const both = compiled({ world, spec: spec({ services, gateways: [gateway({ to: "web" })] }) });
    expect(proxyOf(both, "gateway/127.0.0.1:8080").node.identity).toBe(
      "spiffe://cluster.local/ns/shop/sa/devmesh-gateway",
    );
    expect(callersOf(both, "shop-web-1")).toEqual(["devmesh-gateway", "gateway", "web"]);
    expect(proxyOf(both, "shop-web-1").inbound?.allow?.[0]?.from).toEqual([
      "spiffe://cluster.local/ns/shop/sa/gateway",
      "spiffe://cluster.local/ns/shop/sa/devmesh-gateway",
    ]);
  });
});
