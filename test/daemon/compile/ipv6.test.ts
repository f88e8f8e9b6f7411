// Networks with IPv6: a container is the same at either of its addresses, and so are its neighbours and the outside.
import { expect, test } from "vitest";
import { buildAcceptance, isOutside } from "../../../proxy/route/authorize.ts";
import { worldOf } from "../../support/world.ts";
import { compiled, proxyOf, service, spec } from "./support.ts";

const world = worldOf({
  ipv6On: ["front"],
  containers: [
    { service: "a", on: ["front", "back"], published: [{ containerPort: 8080, hostIp: "::", hostPort: 80 }] },
    { service: "b", on: ["front"] },
    { service: "dns", on: ["front"], exposedUdp: [53] },
  ],
});
const result = compiled({ world, spec: spec({ services: [service("a")] }) });

test("an endpoint means its container at each of its addresses, and is called on the mesh's network", () => {
  const [endpoint] = proxyOf(result, "shop-b-1").endpoints.a ?? [];
  expect(endpoint).toMatchObject({ address: "10.99.0.2", aliases: ["172.20.0.2", "172.21.0.2", "fd00:21::2"] });
});

test("the application is looked for at IPv4 addresses first, then at IPv6 ones, at last at the mesh's", () => {
  expect(proxyOf(result, "shop-a-1").node.addresses).toEqual(["172.21.0.2", "172.20.0.2", "fd00:21::2", "10.99.0.2"]);
});

test("names that are answered with containers' addresses have the IPv6 ones too", () => {
  const { names } = proxyOf(result, "shop-b-1").node;
  expect(names.dns).toEqual(["172.21.0.4", "fd00:21::4"]);
  expect(names["shop-a-1"]).toEqual(["172.21.0.2", "fd00:21::2"]);
});

test.each([
  ["the IPv6 gateway is outside", "fd00:21::1", true],
  ["a neighbour is not", "fd00:21::77", false],
  ["a client from elsewhere is", "fd99::1", true],
])("%s", (_why, address, expected) => {
  const { node, inbound } = proxyOf(result, "shop-a-1");
  if (inbound === null) return expect.unreachable();
  expect(isOutside(buildAcceptance(node, inbound), { identity: null, address, port: 8080 })).toBe(expected);
});

test("on a network that Docker has not described nobody but its gateway is outside", () => {
  const [a, ...others] = world.containers;
  if (a === undefined) return expect.unreachable();
  const networks = a.networks.map((network) => ({
    ...network,
    ipv6: network.ipv6 && { ...network.ipv6, subnet: "" },
  }));
  const { inbound } = proxyOf(
    compiled({ world: { ...world, containers: [{ ...a, networks }, ...others] } }),
    "shop-a-1",
  );
  expect(inbound?.networks.subnets).toContain("::/0");
  expect(inbound?.networks.gateways).toContain("fd00:21::1");
});
