// What compose publishes on the host, as containers of the mesh find it there.
import { expect, test } from "vitest";
import { type ContainerOptions, worldOf } from "../../support/world.ts";
import { compiled, knownTo, proxyOf, service, spec, version } from "./support.ts";

const at = (hostIp: string, hostPort: number, containerPort = 8080) => ({ containerPort, hostIp, hostPort });
const containers: readonly ContainerOptions[] = [
  { service: "web", on: ["front"], published: [at("0.0.0.0", 80), at("::", 80)] },
  { service: "db", on: ["back"], published: [at("0.0.0.0", 5433, 5432), at("127.0.0.1", 9000, 9000)] },
  { service: "hidden", on: ["back"] },
  { service: "cell", on: ["closed"] },
  { service: "pay-v2", on: ["back"], published: [at("192.168.1.20", 82)] },
];
const services = [service("pay", { versions: [version("v2", "pay-v2")] })];
const result = compiled({ world: worldOf({ containers, internal: ["closed"] }), spec: spec({ services }) });

test("every sidecar knows the host's addresses, and which service is behind which of its ports", () => {
  const { host } = proxyOf(result, "shop-web-1").node;
  expect(host?.addresses).toEqual(["172.17.0.1", "172.20.0.1", "192.168.1.20"]);
  expect(host?.ports.map((port) => Object.values(port).join(" "))).toEqual([
    "0.0.0.0 5433 db  5432",
    "0.0.0.0 80 web  8080",
    "192.168.1.20 82 pay v2 8080",
    ":: 80 web  8080",
  ]);
});

test("a service that is published is known to all, and without a name to those who share no network with it", () => {
  expect(knownTo(result, "shop-web-1")).toEqual(["web", "db", "pay"]);
  const { db } = proxyOf(result, "shop-web-1").services;
  expect(db).toMatchObject({ hosts: [], address: "", versionHosts: [] });
  expect(proxyOf(result, "shop-hidden-1").services.db?.hosts).toContain("db");
});

test("it admits them there and nowhere else, and what is published on loopback alone stays out of reach", () => {
  const inbound = proxyOf(result, "shop-db-1").inbound;
  const name = (identity: string) => identity.split("/").at(-1);
  expect(inbound?.callers.map(name)).toEqual(["db", "hidden", "pay"]);
  expect(inbound?.viaHost?.ports).toEqual([5432]);
  expect(inbound?.viaHost?.callers.map(name)).toEqual(["db", "hidden", "pay", "web"]);
  expect(proxyOf(result, "shop-hidden-1").inbound).not.toHaveProperty("viaHost");
});

test("a container on internal networks alone has no way to the host, as before", () => {
  const { node, services: known } = proxyOf(result, "shop-cell-1");
  expect(node).not.toHaveProperty("host");
  expect(Object.keys(known)).toEqual(["cell"]);
});

test.each<[string, Partial<ContainerOptions>]>([
  ["one that does not run", { state: "exited" }],
  ["a one-off container", { isOneOff: true }],
  ["one that is published on loopback alone", { published: [at("127.0.0.1", 80), at("::1", 80)] }],
])("nothing leads to %s", (_why, parts) => {
  const world = worldOf({
    containers: [{ service: "web", published: [at("0.0.0.0", 80)], ...parts }, { service: "b" }],
  });
  expect(proxyOf(compiled({ world }), "shop-b-1").node).not.toHaveProperty("host");
});

test("the gateway of the mesh's own network is nobody's way to the host", () => {
  const world = { ...worldOf({ containers }), hostAddresses: ["10.99.0.1", "172.17.0.1"] };
  expect(proxyOf(compiled({ world }), "shop-web-1").node.host?.addresses).toEqual(["172.17.0.1"]);
});
