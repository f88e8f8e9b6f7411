import { expect, test } from "vitest";
import { httpPortOf, imageName } from "../../../daemon/compile/ports.ts";
import type { PortSpec } from "../../../daemon/spec/spec.ts";
import { type ContainerOptions, worldOf } from "../../support/world.ts";
import { compiled, service, serviceIn, spec } from "./support.ts";

const portsOf = (declared: readonly PortSpec[], options: Partial<ContainerOptions> = {}) => {
  const world = worldOf({ containers: [{ service: "a", ...options }] });
  const result = compiled({ world, spec: spec({ services: [service("a", { ports: declared })] }) });
  return serviceIn(result, "a").ports.map(({ number, protocol, aliases }) => [number, protocol, ...aliases].join(" "));
};

const http = (number: number): PortSpec => ({ number, protocol: "http" });

test.each<[string, readonly PortSpec[], Partial<ContainerOptions>, string[]]>([
  ["the first HTTP port is also answered on 80", [http(8080), http(9090)], {}, ["8080 http 80", "9090 http"]],
  ["not where 80 is declared itself", [http(8080), http(80)], {}, ["8080 http", "80 http"]],
  ["a TCP port has no alias", [{ number: 6379, protocol: "tcp" }], {}, ["6379 tcp"]],
  ["declared ports replace exposed ones", [http(8080)], { exposedTcp: [1, 2] }, ["8080 http 80"]],
  ["exposed and published ports are found, in order", [], { exposedTcp: [9000, 3000] }, ["3000 auto", "9000 auto"]],
  [
    "a published port counts as exposed",
    [],
    { exposedTcp: [], published: [{ containerPort: 80, hostIp: "0.0.0.0", hostPort: 8080 }] },
    ["80 auto"],
  ],
  ["a well-known port is never sniffed", [], { exposedTcp: [5432, 8080] }, ["5432 tcp", "8080 auto"]],
  ["a known image's odd port is not either", [], { image: "redis:7", exposedTcp: [7000] }, ["7000 tcp"]],
  ["its console is", [], { image: "rabbitmq:3-management", exposedTcp: [5672, 15672] }, ["5672 tcp", "15672 auto"]],
  ["a service that exposes nothing has no ports", [], {}, []],
])("%s", (_why, declared, options, expected) => {
  expect(portsOf(declared, options)).toEqual(expected);
});

test("ports of two images of one service that disagree are sniffed", () => {
  const containers = [
    { service: "a", image: "redis", exposedTcp: [7000] },
    { service: "a", number: 2, image: "mine", exposedTcp: [7000] },
  ];
  expect(serviceIn(compiled({ world: worldOf({ containers }) }), "a").ports).toEqual([
    { number: 7000, protocol: "auto", aliases: [] },
  ]);
});

test.each([
  ["redis", "redis"],
  ["registry:5000/library/Redis:7-alpine", "redis"],
  ["docker.io/bitnami/postgresql@sha256:abc", "postgresql"],
  ["registry:5000/mongo", "mongo"],
  ["", ""],
])("the image %s is a %s", (image, expected) => {
  expect(imageName(image)).toBe(expected);
});

test.each<[string, readonly (readonly [number, "http" | "tcp" | "auto"])[], number | null]>([
  [
    "the first HTTP port",
    [
      [1, "tcp"],
      [2, "http"],
      [3, "http"],
    ],
    2,
  ],
  [
    "a usual HTTP port among the unknown",
    [
      [3000, "auto"],
      [8080, "auto"],
    ],
    8080,
  ],
  [
    "the first unknown",
    [
      [3000, "auto"],
      [4000, "auto"],
    ],
    3000,
  ],
  ["the only one", [[6379, "tcp"]], 6379],
  [
    "none of several TCP ports",
    [
      [1, "tcp"],
      [2, "tcp"],
    ],
    null,
  ],
  ["none at all", [], null],
])("the HTTP port of a service is %s", (_why, ports, expected) => {
  const named = ports.map(([number, protocol]) => ({ number, protocol, aliases: [] }));
  const empty = { name: "a", spec: null, versions: [], workloads: [], exposesUdp: false, networks: new Set<string>() };
  expect(httpPortOf({ ...empty, ports: named })).toBe(expected);
});
