import { describe, expect, test } from "vitest";
import { worldOf } from "../../support/world.ts";
import { compiled, proxyOf, service, serviceIn, spec, version } from "./support.ts";

const forms = (name: string) => [name, `${name}.shop`, `${name}.shop.svc`, `${name}.shop.svc.cluster.local`];

describe("hosts", () => {
  test("a service answers to its short and its full names, in lower case", () => {
    const config = serviceIn(compiled({ world: worldOf({ containers: [{ service: "Cart" }] }) }), "Cart");
    expect(config.hosts).toEqual(forms("cart"));
    expect(config.fqdn).toBe("cart.shop.svc.cluster.local");
    expect(config.identity).toBe("spiffe://cluster.local/ns/shop/sa/Cart");
  });

  test("aliases that one service's containers carry are its hosts", () => {
    const world = worldOf({ containers: [{ service: "cart", aliases: ["basket", "api.example.com"] }] });
    expect(serviceIn(compiled({ world }), "cart").hosts).toEqual([...forms("cart"), "api.example.com", "basket"]);
  });

  test("an alias that two services share is left to Docker", () => {
    const world = worldOf({
      containers: [
        { service: "a", aliases: ["db"] },
        { service: "b", aliases: ["db"] },
      ],
    });
    const result = compiled({ world });
    expect([...serviceIn(result, "a").hosts, ...serviceIn(result, "b").hosts]).not.toContain("db");
  });

  describe("an alias is a name on the network that it was given on", () => {
    const on = (service: string, networks: readonly string[], aliases: readonly string[] = []) => ({
      service,
      on: networks,
      aliases,
    });
    const world = worldOf({
      containers: [
        on("a", ["front"], ["db"]),
        on("b", ["back"], ["db"]),
        on("web", ["front"]),
        on("api", ["back"]),
        on("both", ["front", "back"]),
      ],
    });
    const named = (caller: string) =>
      Object.values(proxyOf(compiled({ world }), `shop-${caller}-1`).services)
        .filter(({ hosts }) => hosts.includes("db"))
        .map(({ name }) => name);

    test.each([
      ["a caller there reaches what carries it there", "web", ["a"]],
      ["another service may carry it on another network", "api", ["b"]],
      ["to who is on both it means neither, and Docker answers", "both", []],
    ])("%s", (_why, caller, expected) => {
      expect(named(caller)).toEqual(expected);
    });

    test("a service that shares another network with the caller has no name of it there", () => {
      const [first, ...others] = worldOf({ containers: [on("a", ["front", "back"]), on("web", ["front"])] }).containers;
      if (first === undefined) return expect.unreachable();
      const networks = first.networks.map((net) => (net.network === "shop_back" ? { ...net, aliases: ["rear"] } : net));
      const result = compiled({ world: { ...world, containers: [{ ...first, networks }, ...others] } });
      expect(proxyOf(result, "shop-web-1").services.a?.hosts).toEqual(forms("a"));
      expect(proxyOf(result, "shop-a-1").services.a?.hosts).toEqual([...forms("a"), "rear"]);
    });

    test("who is named by an allow rule and shares no network has the service's own names", () => {
      const allow = [{ origin: { file: "", line: 1, column: 1 }, from: ["web"], methods: [], paths: [] }];
      const result = compiled({ world, spec: spec({ services: [service("b", { allow })] }) });
      expect(proxyOf(result, "shop-web-1").services.b?.hosts).toEqual(forms("b"));
    });
  });

  test("so is one that a container outside the mesh carries too", () => {
    const world = worldOf({
      containers: [
        { service: "a", aliases: ["db"] },
        { service: "b", aliases: ["db"], isOptedOut: true },
      ],
    });
    expect(serviceIn(compiled({ world }), "a").hosts).toEqual(forms("a"));
  });

  test("a service's name beats another's alias of that name", () => {
    const world = worldOf({ containers: [{ service: "a", aliases: ["b", "b.shop"] }, { service: "b" }] });
    const result = compiled({ world });
    expect(serviceIn(result, "a").hosts).toEqual(forms("a"));
    expect(serviceIn(result, "b").hosts).toEqual(forms("b"));
  });

  test("what Docker adds as an alias itself is none", () => {
    const id = "0123456789abcdef0123";
    const aliases = [id.slice(0, 12), "shop-a-1"];
    const world = worldOf({ containers: [{ service: "a", id, aliases }] });
    expect(serviceIn(compiled({ world }), "a").hosts).toEqual(forms("a"));
  });
});

describe("a compose service that is one version", () => {
  const versions = [version("v1", "payment-v1"), version("v2")];
  const payment = spec({ services: [service("payment", { versions })] });

  test("is a host of that version only, with an address of its own", () => {
    const world = worldOf({
      containers: [
        { service: "payment-v1", aliases: ["payment"] },
        { service: "payment-v2", aliases: ["payment", "beta"] },
      ],
    });
    const result = compiled({ world, spec: payment });
    const config = serviceIn(result, "payment");
    expect(result.services.map(({ name }) => name)).toEqual(["payment"]);
    expect(config.hosts).toEqual(forms("payment"));
    expect(config.versionHosts.map(({ version: one, hosts }) => [one, ...hosts])).toEqual([
      ["v1", ...forms("payment-v1")],
      ["v2", ...forms("payment-v2"), "beta"],
    ]);
    const addresses = [config.address, ...config.versionHosts.map(({ address }) => address)];
    expect(new Set(addresses).size).toBe(3);
    expect(addresses.every((address) => address.startsWith("10.99."))).toBe(true);
  });

  test("is that also where only labels say so", () => {
    const labels = { "devmesh.service": "payment", "devmesh.version": "v2" };
    const world = worldOf({ containers: [{ service: "payment" }, { service: "payment-v2", labels }] });
    const result = compiled({ world, knownServices: ["payment", "payment-v2"] });
    expect(result.services.map(({ name }) => name)).toEqual(["payment"]);
    expect(serviceIn(result, "payment").versionHosts.map(({ hosts }) => hosts[0])).toEqual(["payment-v2"]);
  });
});

describe("names that mean containers", () => {
  test("a container's name is its address on a network shared with the caller, never the mesh's", () => {
    const world = worldOf({
      containers: [
        { service: "a", on: ["front"] },
        { service: "b", on: ["back", "front"] },
        { service: "c", on: ["back"] },
      ],
    });
    const result = compiled({ world });
    expect(proxyOf(result, "shop-a-1").node.names).toEqual({
      "shop-a-1": ["172.21.0.2"],
      "shop-b-1": ["172.21.0.3"],
    });
    expect(proxyOf(result, "shop-c-1").node.names).toEqual({
      "shop-b-1": ["172.20.0.3"],
      "shop-c-1": ["172.20.0.4"],
    });
  });

  test("a container called like a service does not take its name", () => {
    const world = worldOf({ containers: [{ service: "a", name: "b" }, { service: "b" }] });
    expect(Object.keys(proxyOf(compiled({ world }), "shop-b-1").node.names)).toEqual(["shop-b-1"]);
  });

  test("a service that exposes UDP resolves to its containers, and is still routed by host", () => {
    const udp = { service: "dns", exposedUdp: [53], exposedTcp: [53] };
    const world = worldOf({ containers: [{ service: "a" }, udp, { ...udp, number: 2 }] });
    const { node, services } = proxyOf(compiled({ world }), "shop-a-1");
    for (const host of forms("dns")) expect(node.names[host]).toEqual(["172.20.0.3", "172.20.0.4"]);
    expect(services.dns?.hosts).toEqual(forms("dns"));
    expect(services.dns?.address).toBe("");
  });

  test("a service without a virtual address does too, and that is said", () => {
    const world = worldOf({ containers: [{ service: "a" }, { service: "b" }] });
    const result = compiled({ world, addresses: new Map([["a", "10.99.128.1"]]) });
    expect(proxyOf(result, "shop-a-1").node.names["b.shop"]).toEqual(["172.20.0.3"]);
    expect(result.diagnostics).toEqual([expect.objectContaining({ severity: "warning", code: "DM1404" })]);
  });
});

test("a proxy's own addresses have the project's first and the mesh's last", () => {
  const world = worldOf({ containers: [{ service: "a", on: ["x", "y"] }] });
  const { node } = proxyOf(compiled({ world }), "shop-a-1");
  expect(node.addresses).toEqual(["172.20.0.2", "172.21.0.2", "10.99.0.2"]);
  expect(node.meshSubnet).toBe("10.99.0.0/16");
});

test("before the mesh's network exists there are no addresses and no endpoints, and nothing breaks", () => {
  const result = compiled({ world: worldOf({ hasMesh: false, containers: [{ service: "a" }] }) });
  expect(serviceIn(result, "a").address).toBe("");
  expect(proxyOf(result, "shop-a-1").endpoints).toEqual({ a: [] });
  expect(proxyOf(result, "shop-a-1").node.meshSubnet).toBe("");
  expect(result.diagnostics).toEqual([]);
});
