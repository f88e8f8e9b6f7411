import { expect, test } from "vitest";
import type { ServiceSpec, Spec } from "../../../daemon/spec/spec.ts";
import { buildAcceptance, isOutside } from "../../../proxy/route/authorize.ts";
import { worldOf } from "../../support/world.ts";
import { compiled, gateway, origin, proxyOf, service, spec } from "./support.ts";

const published = [
  { containerPort: 8080, hostIp: "127.0.0.1", hostPort: 3000 },
  { containerPort: 8080, hostIp: "::1", hostPort: 3000 },
  { containerPort: 443, hostIp: "0.0.0.0", hostPort: 443 },
];
const world = worldOf({
  containers: [
    { service: "a", on: ["x", "y"], published },
    { service: "b", on: ["x"] },
  ],
});

const compiledA = (parts: Partial<ServiceSpec> = {}, mesh: Partial<Spec> = {}) =>
  compiled({ world, spec: spec({ ...mesh, services: [service("a", parts)] }) });

const inboundOfA = (parts: Partial<ServiceSpec> = {}, mesh: Partial<Spec> = {}) =>
  proxyOf(compiledA(parts, mesh), "shop-a-1").inbound;

test.each([
  ["the service's mode", "strict", "permissive", "strict"],
  ["else the mesh's", null, "disable", "disable"],
] as const)("mTLS is %s", (_why, own, mesh, expected) => {
  expect(inboundOfA({ mtls: own }, { mtls: mesh })?.mtls).toBe(expected);
  expect(proxyOf(compiledA({ mtls: own }, { mtls: mesh }), "shop-b-1").services.a?.mtls).toBe(expected);
});

test("published container ports are listed once, and the networks that tell who is outside", () => {
  expect(inboundOfA()).toMatchObject({
    publishedPorts: [443, 8080],
    networks: {
      gateways: ["10.99.0.1", "172.20.0.1", "172.21.0.1"],
      subnets: ["10.99.0.0/16", "172.20.0.0/16", "172.21.0.0/16"],
    },
  });
});

test("nobody but the gateway is outside while Docker does not say what subnet a network has", () => {
  const unsure = {
    ...world,
    containers: world.containers.map((container) => ({
      ...container,
      networks: container.networks.map((network) =>
        network.network === "shop_y" ? { ...network, subnet: "" } : network,
      ),
    })),
  };
  const config = proxyOf(compiled({ world: unsure, spec: spec({ services: [service("a", {})] }) }), "shop-a-1");
  if (config.inbound === null) throw new Error("a has no inbound config");
  const acceptance = buildAcceptance(config.node, config.inbound);
  const isFromOutside = (address: string) => isOutside(acceptance, { identity: null, address, port: 8080 });
  expect(isFromOutside("172.21.0.9")).toBe(false);
  expect(isFromOutside("172.21.0.1")).toBe(true);
});

test("allow names become identities of the trust domain, words stay", () => {
  const allow = [
    { origin, from: ["b", "outside"], methods: ["POST"], paths: ["/x*"] },
    { origin, from: ["*"], methods: [], paths: ["/health"] },
    { origin, from: ["gateway"], methods: [], paths: [] },
  ];
  expect(inboundOfA({ allow }, { trustDomain: "example.org" })?.allow).toEqual([
    { from: ["spiffe://example.org/ns/shop/sa/b", "outside"], methods: ["POST"], paths: ["/x*"] },
    { from: ["*"], methods: [], paths: ["/health"] },
    { from: ["spiffe://example.org/ns/shop/sa/gateway"], methods: [], paths: [] },
  ]);
});

test("no allow is open, an empty one is nobody", () => {
  expect(inboundOfA()?.allow).toBeNull();
  expect(inboundOfA({ allow: [] })?.allow).toEqual([]);
});

test.each<[string, ServiceSpec["allow"], number[]]>([
  ["without allow published ports are open to outside", null, [443, 8080]],
  ["with allow they are closed", [], []],
  ["unless it names outside", [{ origin, from: ["outside"], methods: [], paths: [] }], [443, 8080]],
])("%s", (_why, allow, expected) => {
  expect(compiledA({ allow }).services.find(({ name }) => name === "a")?.openPorts).toEqual(expected);
});

test("gateways that share an address are one listener, exact hosts first, then wildcards, then any", () => {
  const gateways = [
    gateway({ to: "b" }),
    gateway({ to: "a", toPort: 9, hosts: ["*.example.com", "a.example.com"] }),
    gateway({ to: "a", toPort: 443, host: "::1", port: 8443, protocol: "tcp" }),
  ];
  const services = [service("b", { ports: [{ number: 8080, protocol: "http" }] })];
  const own = [
    {
      id: "g",
      name: "shop-devmesh-gateway",
      kind: "gateway" as const,
      owner: "gateway/127.0.0.1:8080",
      ownerStartedAt: "",
      image: "",
      optionsHash: "",
      state: "running" as const,
      startedAt: "",
      meshAddress: "10.99.0.77",
    },
  ];
  const result = compiled({ world: { ...world, own }, spec: spec({ gateways, services }) });
  expect(result.gateways.map(({ key, port, protocol }) => [key, port, protocol])).toEqual([
    ["gateway/127.0.0.1:8080", 8080, "http"],
    ["gateway/[::1]:8443", 8443, "tcp"],
  ]);
  const config = proxyOf(result, "gateway/127.0.0.1:8080");
  expect(config.listeners).toEqual({
    8080: {
      port: 8080,
      protocol: "http",
      hosts: [
        { host: "a.example.com", service: "a", port: 9 },
        { host: "*.example.com", service: "a", port: 9 },
        { host: "*", service: "b", port: 8080 },
      ],
    },
  });
  expect(config.node).toMatchObject({ workload: "shop-devmesh-gateway", addresses: ["10.99.0.77"], names: {} });
});
