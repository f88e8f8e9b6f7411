// What compose would do, and the World after it.
import { describe, expect, test } from "vitest";
import type { ComposeIntent } from "../../daemon/api/plan-view.ts";
import type { ImageFacts } from "../../daemon/docker/image-facts.ts";
import { previewWorld, selectedServices } from "../../daemon/preview-world.ts";
import { readComposeConfig } from "../../daemon/spec/compose-config.ts";
import { type ContainerOptions, worldOf } from "../support/world.ts";

const identity = { mesh: "shop", project: "shop", stateId: "s" };
const hash = "com.docker.compose.config-hash";
const web = { service: "web", labels: { [hash]: "1" }, name: "shop_web_1" } as const;
const noIntent: ComposeIntent = {
  command: "docker-compose",
  separator: "_",
  config: "",
  hashes: { web: "1", db: "1" },
  services: [],
  scale: {},
  profiles: [],
  recreates: "changed",
  builds: false,
  hasDependencies: true,
  removesOrphans: false,
  unread: [],
};
const image: ImageFacts = { id: "sha256:1", exposed: ["80/tcp"], healthTest: [], labels: { of: "image" } };

interface Case {
  readonly compose?: string;
  readonly containers?: readonly ContainerOptions[];
  readonly intent?: Partial<ComposeIntent>;
  readonly images?: ReadonlyMap<string, ImageFacts | null>;
}

const oneService = "services: { web: { image: nginx } }";
const planned = ({ compose = oneService, containers = [], intent = {}, images = new Map() }: Case) =>
  previewWorld({
    world: worldOf({ containers }),
    identity,
    config: readComposeConfig(compose) ?? expect.unreachable(),
    intent: { ...noIntent, ...intent },
    images,
    networks: new Map(),
  });
const steps = (one: Case) =>
  planned(one).containers.map(({ action, container, reason }) => `${action} ${container}${reason && `: ${reason}`}`);

describe("what compose would do", () => {
  test.each<[string, Case, string[]]>([
    ["one that is not there is created", {}, ["create shop_web_1"]],
    ["version 2 has other names", { intent: { separator: "-" } }, ["create shop-web-1"]],
    ["a name of its own", { compose: "services: { web: { image: x, container_name: me } }" }, ["create me"]],
    ["one that runs is kept", { containers: [web] }, ["keep shop_web_1"]],
    [
      "one that has ended is started",
      { containers: [{ ...web, state: "exited" }] },
      ["start shop_web_1: it is exited"],
    ],
    [
      "one of another configuration is made anew",
      { containers: [web], intent: { hashes: { web: "2" } } },
      ["recreate shop_web_1: its configuration changed"],
    ],
    [
      "unless that is forbidden",
      { containers: [web], intent: { hashes: { web: "2" }, recreates: "never" } },
      ["keep shop_web_1"],
    ],
    ["where hashes are not known it is kept", { containers: [web], intent: { hashes: {} } }, ["keep shop_web_1"]],
    [
      "--force-recreate",
      { containers: [web], intent: { recreates: "always" } },
      ["recreate shop_web_1: --force-recreate"],
    ],
    [
      "one of another image",
      {
        containers: [{ ...web, labels: { ...web.labels, "com.docker.compose.image": "sha256:0" } }],
        images: new Map([["nginx", image]]),
      },
      ["recreate shop_web_1: its image is another"],
    ],
    ["more of one", { containers: [web], intent: { scale: { web: 2 } } }, ["keep shop_web_1", "create shop_web_2"]],
    ["fewer of one", { containers: [web], intent: { scale: { web: 0 } } }, ["remove shop_web_1: 0 of it are wanted"]],
    [
      "orphans",
      { containers: [{ service: "old", name: "shop_old_1" }], intent: { removesOrphans: true } },
      ["create shop_web_1", "remove shop_old_1: the compose files do not name it"],
    ],
  ])("%s", (_why, one, expected) => {
    expect(steps(one)).toEqual(expected);
  });

  test("one whose network namespace is another's new container goes with it in version 2, and stays in version 1", () => {
    const compose = "services: { side: { image: x, network_mode: 'service:web' }, web: { image: x } }";
    const side = { service: "side", name: "shop_side_1", labels: { [hash]: "1" } };
    const one = { compose, containers: [web, side], intent: { hashes: { web: "2", side: "1" } } };
    expect(steps({ ...one, intent: { ...one.intent, separator: "-" } })[1]).toMatch(/^recreate shop_side_1: it is in/);
    expect(steps(one)[1]).toBe("keep shop_side_1");
  });

  test("what is not there yet, or not understood, is a note", () => {
    const { notes } = planned({ images: new Map([["nginx", null]]), intent: { unread: ["--menu"], builds: true } });
    expect(notes).toHaveLength(3);
    expect(notes[0]).toContain("web");
  });
});

test.each<[string, Partial<ComposeIntent>, string[]]>([
  ["all without a profile", {}, ["web", "db"]],
  ["those of a profile too", { profiles: ["x"] }, ["web", "db", "tool"]],
  ["named ones and what they need", { services: ["web"] }, ["web", "db"]],
  ["named ones alone", { services: ["web"], hasDependencies: false }, ["web"]],
  ["a named one of a profile", { services: ["tool"] }, ["tool"]],
])("selects %s", (_why, intent, expected) => {
  const config = readComposeConfig(
    "services: { web: { image: x, depends_on: [db] }, db: { image: x }, tool: { image: x, profiles: [x] } }",
  );
  const found = selectedServices(config ?? expect.unreachable(), { ...noIntent, ...intent });
  expect(found.map(({ name }) => name)).toEqual(expected);
});

describe("a container that is not there yet", () => {
  const compose = `
services:
  web:
    image: nginx
    cap_add: [NET_ADMIN]
    networks: [front, own]
    expose: ["81", "82/udp"]
    ports: ["127.0.0.1:8080:80", "9000"]
    labels: { devmesh.inject: "false" }
  side: { image: nginx, network_mode: "service:web" }
  bare: { image: nginx, healthcheck: { test: "true" }, network_mode: host, privileged: true }
networks: { front: {}, own: { name: mine, internal: true } }
`;
  const { world } = planned({ compose, images: new Map([["nginx", image]]) });
  const of = (name: string) => world.containers.find((container) => container.name === name) ?? expect.unreachable();

  test("is described as Docker would describe it", () => {
    expect(of("shop_web_1")).toMatchObject({
      image: "nginx",
      service: "web",
      state: "running",
      networkMode: "shop_front",
      exposedTcp: [80, 81, 9000],
      exposedUdp: [82],
      hasHealthcheck: false,
      isPrivileged: true,
      isOptedOut: true,
      labels: { of: "image" },
    });
    expect(of("shop_web_1").networks.map(({ network, isInternal }) => [network, isInternal])).toEqual([
      ["mine", true],
      ["shop_front", false],
    ]);
    expect(of("shop_web_1").published.map(({ containerPort }) => containerPort)).toEqual([80, 9000]);
  });

  test("names the container whose network it shares, and what the network mode says", () => {
    expect(of("shop_side_1").networkMode).toBe("container:new:shop_web_1");
    expect(of("shop_bare_1")).toMatchObject({
      networkMode: "host",
      networks: [],
      isPrivileged: true,
      hasHealthcheck: true,
    });
  });
});
