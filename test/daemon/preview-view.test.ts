// What `up` would do, as data.
import { describe, expect, test } from "vitest";
import type { PlannedContainer } from "../../daemon/api/plan-view.ts";
import { desiredOf } from "../../daemon/control-plane.ts";
import type { OpenConnection } from "../../daemon/docker/connections.ts";
import { planActions } from "../../daemon/docker/plan.ts";
import { plannedRemovals, plannedServices, plannedUnmeshed, type ViewInput } from "../../daemon/preview-view.ts";
import { chosenPort } from "../../daemon/preview-world.ts";
import { readComposeConfig } from "../../daemon/spec/compose-config.ts";
import type { Spec } from "../../daemon/spec/spec.ts";
import { type ContainerOptions, worldOf } from "../support/world.ts";
import { compiled, origin, service, spec } from "./compile/support.ts";

interface Case {
  readonly containers: readonly ContainerOptions[];
  readonly spec?: Partial<Spec>;
  readonly steps?: readonly PlannedContainer[];
  readonly compose?: string;
  readonly connections?: readonly OpenConnection[] | null;
  readonly own?: Parameters<typeof worldOf>[0]["own"];
}

function inputOf({
  containers,
  spec: parts = {},
  steps = [],
  compose = "",
  connections = null,
  own = [],
}: Case): ViewInput {
  const world = worldOf({ containers: containers.map((one) => ({ isOnMesh: false, ...one })), own });
  const result = compiled({ world, spec: spec(parts) });
  const desired = desiredOf(result, { image: "proxy", hostsCleaned: new Set(), replaced: new Set() });
  const config = readComposeConfig(compose);
  return {
    spec: spec(parts),
    world,
    compiled: result,
    actions: planActions({ world, desired }),
    containers: steps,
    composeServices: new Map(config?.services.map((one) => [one.name, one])),
    images: new Map([["nginx", { id: "1", exposed: ["80/tcp"], healthTest: [], labels: {} }]]),
    connections: new Map(world.containers.map(({ id }) => [id, connections])),
  };
}
const first = (one: Case) => plannedServices(inputOf(one))[0] ?? expect.unreachable();
const workload = (one: Case) => first(one).workloads[0] ?? expect.unreachable();
const created: PlannedContainer = { service: "web", container: "shop-web-1", action: "create", reason: "" };
const web = { service: "web", image: "nginx", exposedTcp: [80] } as const;

describe("ports", () => {
  test.each<[string, Case, [number, string, string, string][]]>([
    ["of the image", { containers: [web] }, [[80, "auto", "image", "sniffed"]]],
    [
      "of mesh.yaml",
      {
        containers: [web],
        spec: {
          services: [
            service("web", {
              ports: [
                { number: 8080, protocol: "http" },
                { number: 5432, protocol: "auto" },
              ],
            }),
          ],
        },
      },
      [
        [8080, "http", "mesh.yaml", "mesh.yaml"],
        [5432, "auto", "mesh.yaml", "well-known"],
      ],
    ],
    [
      "of compose's expose, well-known",
      {
        containers: [{ ...web, exposedTcp: [5432] }],
        compose: "services: { web: { image: nginx, expose: ['5432'] } }",
      },
      [[5432, "tcp", "expose", "well-known"]],
    ],
    [
      "of compose's ports",
      { containers: [{ ...web, exposedTcp: [], published: [{ containerPort: 90, hostIp: "", hostPort: 1 }] }] },
      [[90, "auto", "ports", "sniffed"]],
    ],
    [
      "of an image that everybody knows",
      { containers: [{ service: "web", image: "redis:7", exposedTcp: [7777] }] },
      [[7777, "tcp", "container", "image"]],
    ],
  ])("%s", (_why, one, expected) => {
    const { ports } = first(one);
    expect(ports.map((port) => [port.number, port.protocol, port.source, port.protocolSource])).toEqual(expected);
  });
});

describe("how a container begins", () => {
  test.each<[string, Case, object]>([
    [
      "one that compose makes is held",
      { containers: [web], steps: [created] },
      { start: "held", resets: 0, sidecar: "create" },
    ],
    [
      "one with a health check is guarded",
      { containers: [{ ...web, hasHealthcheck: true }], steps: [{ ...created, action: "start" }] },
      { start: "guarded", resets: 0 },
    ],
    [
      "one that runs loses what it has open",
      {
        containers: [web],
        steps: [{ ...created, action: "keep" }],
        connections: [{ localPort: 80, remoteAddress: "192.0.2.7", remotePort: 5000 }],
      },
      { start: "running", resets: 1, joinsMesh: true },
    ],
    ["of which nobody knows how many", { containers: [web] }, { start: "running", resets: null }],
  ])("%s", (_why, one, expected) => {
    expect(workload(one)).toMatchObject(expected);
  });

  test("what is excluded is not reset", () => {
    const capture = {
      origin,
      excludeInboundPorts: [80],
      excludeOutboundPorts: [5432],
      excludeOutboundCidrs: ["192.0.2.0/24", "fd00::/8"],
    };
    const at = (localPort: number, remoteAddress: string, remotePort: number) => ({
      localPort,
      remoteAddress,
      remotePort,
    });
    const connections = [
      at(80, "198.51.100.1", 1),
      at(40_000, "198.51.100.1", 5432),
      at(40_001, "192.0.2.9", 1),
      at(40_002, "fd00::1", 1),
      at(40_003, "198.51.100.1", 81),
    ];
    expect(workload({ containers: [web], spec: { services: [service("web", { capture })] }, connections }).resets).toBe(
      1,
    );
  });
});

test("what stays open is listed with its place on the host and the reason", () => {
  const capture = { origin, excludeInboundPorts: [90], includeOutboundCidrs: [] };
  const published = [
    { containerPort: 80, hostIp: "127.0.0.1", hostPort: 8080 },
    { containerPort: 90, hostIp: "::", hostPort: chosenPort },
  ];
  const one: Case = {
    containers: [{ ...web, published, exposedUdp: [53] }],
    spec: { services: [service("web", { capture })] },
    compose: "services: { web: { image: nginx, ports: ['127.0.0.1:5353:53/udp'] } }",
  };
  expect(workload(one).open.map(({ kind, what, host }) => [kind, what, host])).toEqual([
    ["published", "80", "127.0.0.1:8080"],
    ["direct", "90", null],
    ["udp", "53/udp", "127.0.0.1:5353"],
    ["excluded-inbound", "90", null],
    ["excluded-outbound", "everything", null],
  ]);
});

test("a published port that allow closes to outside is not open", () => {
  const published = [{ containerPort: 80, hostIp: "127.0.0.1", hostPort: 8080 }];
  const one: Case = { containers: [{ ...web, published }], spec: { services: [service("web", { allow: [] })] } };
  expect(workload(one).open).toEqual([]);
});

test("containers that stay out, and sidecars that go, are listed with the reason", () => {
  const own = [
    {
      id: "s1",
      name: "devmesh-shop-web-1",
      kind: "sidecar" as const,
      owner: "gone",
      ownerStartedAt: "",
      image: "proxy",
      optionsHash: "",
      state: "running" as const,
      startedAt: "",
      meshAddress: "",
    },
    {
      id: "s2",
      name: "devmesh-shop-quiet-1",
      kind: "sidecar" as const,
      owner: "shop-quiet-1-id",
      ownerStartedAt: "",
      image: "proxy",
      optionsHash: "",
      state: "running" as const,
      startedAt: "",
      meshAddress: "",
    },
  ];
  const input = inputOf({ containers: [{ service: "quiet", isOptedOut: true }], own });
  expect(plannedUnmeshed(input)).toMatchObject([{ container: "shop-quiet-1", leaves: true }]);
  expect(plannedRemovals(input)).toEqual([
    { name: "devmesh-shop-web-1", reason: "its container is gone" },
    { name: "devmesh-shop-quiet-1", reason: "its container left the mesh" },
  ]);
});
