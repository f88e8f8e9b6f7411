import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { belongsToMesh, isOurs, label } from "../../../daemon/docker/labels.ts";
import { readContainer, readLabels, readNetwork, readOwnContainer } from "../../../daemon/docker/read-container.ts";
import type { Container } from "../../../daemon/docker/world.ts";

// Recorded from Docker 20.10 with docker-compose 1.29.2; the one of engine 27 is the same container as newer ones tell it.
const recorded = JSON.parse(readFileSync(new URL("./fixtures/inspected.json", import.meta.url), "utf8")) as {
  networks: unknown[];
  containers: Record<string, Record<string, unknown>>;
};
const networks = new Map(recorded.networks.map(readNetwork).map((network) => [network.id, network]));

function read(name: string): Container {
  return readContainer(recorded.containers[name], networks);
}

describe("readContainer", () => {
  const rows: [string, string, Partial<Container>][] = [
    [
      "compose v1 names with underscores; ports in use come from the running container, TCP only",
      "compose-v1-published-healthy",
      {
        name: "hfshop_web_1",
        service: "web",
        number: 1,
        isOneOff: false,
        state: "running",
        version: null,
        exposedTcp: [7000, 8080, 8081],
        exposedUdp: [9090],
        hasHealthcheck: true,
        health: "healthy",
        isPrivileged: false,
        isOptedOut: false,
      },
    ],
    [
      "a stopped container keeps its networks without addresses, and our labels rename its service",
      "compose-v1-stopped-opted-out",
      {
        service: "payment",
        version: "v2",
        state: "exited",
        isOptedOut: true,
        isPrivileged: true,
        published: [],
        hasHealthcheck: false,
        health: "none",
      },
    ],
    ["compose run makes a one-off", "compose-v1-one-off", { name: "hf-oneoff", isOneOff: true, service: "payment" }],
    ["a plain container is its own service", "run-bridge", { service: "hf-plain", networkMode: "bridge", number: 1 }],
    ["host mode is told by name", "run-host-network", { networkMode: "host" }],
    ["one that never started has no start", "run-privileged", { state: "created", startedAt: "", isPrivileged: true }],
    [
      "compose v2 on a newer engine; the label version is a version",
      "compose-v2-engine-27",
      { name: "hfshop-web-1", service: "web", version: "v9", health: "none", hasHealthcheck: false },
    ],
  ];
  test.each(rows)("%s", (_why, name, expected) => {
    expect(read(name)).toMatchObject(expected);
  });

  test("one that runs as the proxy's user is like any other: the group that the proxy draws tells them apart", () => {
    expect(readContainer({ Config: { User: "1337:1337" } }, networks).isPrivileged).toBe(false);
  });

  test("an attachment tells the network's subnet, gateway and kind, and only aliases that somebody chose", () => {
    const [back, front] = read("compose-v1-published-healthy").networks;
    expect(back).toMatchObject({ network: "hfshop_back", subnet: "172.23.0.0/16", isInternal: true, aliases: ["web"] });
    expect(front).toMatchObject({ network: "hfshop_front", gateway: "172.22.0.1", isInternal: false });
    expect([...(front?.aliases ?? [])].sort()).toEqual(["web", "www"]);
    expect(front?.address).toMatch(/^172\.22\.0\.\d+$/);
  });

  test("an attachment to a network with IPv6 has both addresses, and null without", () => {
    const pools = [{ Subnet: "172.30.0.0/16", Gateway: "172.30.0.1" }, { Subnet: "fd12::/64" }];
    const six = readNetwork({ Id: "n6", Name: "six", IPAM: { Config: pools } });
    const endpoint = { NetworkID: "n6", IPAddress: "172.30.0.2", GlobalIPv6Address: "fd12::2", IPv6Gateway: "fd12::1" };
    const raw = { Id: "x", NetworkSettings: { Networks: { six: endpoint } } };
    const [attachment] = readContainer(raw, new Map([["n6", six]])).networks;
    expect(attachment).toMatchObject({
      address: "172.30.0.2",
      ipv6: { address: "fd12::2", gateway: "fd12::1", subnet: "fd12::/64" },
    });
    expect(read("compose-v1-published-healthy").networks.map(({ ipv6 }) => ipv6)).toEqual([null, null]);
  });

  test("a stopped container's attachment has no address but still the network's gateway", () => {
    const [back] = read("compose-v1-stopped-opted-out").networks;
    expect(back).toMatchObject({ network: "hfshop_back", address: "", gateway: "172.23.0.1" });
  });

  test("one that was connected before its first start is on that network by its name", () => {
    const endpoint = { NetworkID: "", IPAddress: "", Aliases: null };
    const raw = { Id: "x", NetworkSettings: { Networks: { hfshop_back: endpoint } } };
    const [back] = readContainer(raw, networks).networks;
    expect(back).toMatchObject({ subnet: "172.23.0.0/16", networkId: [...networks.keys()][1] });
  });

  test("published ports are listed for each host address, with the host port that Docker chose", () => {
    const { published } = read("compose-v1-published-healthy");
    expect(published.map(({ containerPort, hostIp }) => `${containerPort} ${hostIp}`)).toEqual([
      "8080 127.0.0.1",
      "8081 0.0.0.0",
      "8081 ::",
    ]);
    expect(published[0]?.hostPort).toBeGreaterThan(1024);
  });

  test("one that shares another's namespace names it by id", () => {
    expect(read("run-joined").networkMode).toBe(`container:${read("run-bridge").id}`);
  });

  test.each<[string, Record<string, string>, boolean]>([
    ["Istio's label", { "sidecar.istio.io/inject": "False" }, true],
    ["ours before Istio's", { "devmesh.inject": "true", "sidecar.istio.io/inject": "false" }, false],
    ["ours", { "devmesh.inject": "false", "sidecar.istio.io/inject": "true" }, true],
    ["a word that means nothing", { "devmesh.inject": "no" }, false],
  ])("a container opts out by %s, or does not", (_why, Labels, expected) => {
    expect(readContainer({ Config: { Labels } }, networks).isOptedOut).toBe(expected);
  });

  test.each([
    ["nothing", null],
    ["an empty object", {}],
    [
      "nonsense in every place",
      { Id: 1, Name: [], State: "x", Config: { Labels: [], ExposedPorts: 1 }, HostConfig: 2 },
    ],
  ])("reads %s without failing", (_why, json) => {
    expect(readContainer(json, networks)).toMatchObject({ id: "", state: "exited", networks: [], published: [] });
  });
});

describe("what belongs", () => {
  const identity = { mesh: "shop", project: "hfshop", stateId: "s1" };
  test.each([
    ["a container of the project", { "com.docker.compose.project": "hfshop" }, true],
    ["one of another project", { "com.docker.compose.project": "other" }, false],
    ["any with the mesh's label", { "devmesh.mesh": "shop" }, true],
    [
      "one of the project that names another mesh",
      { "com.docker.compose.project": "hfshop", "devmesh.mesh": "x" },
      false,
    ],
    ["what devmesh made", { "com.docker.compose.project": "hfshop", [label.mesh]: "shop" }, false],
    ["a container without labels", {}, false],
  ])("%s", (_why, labels, expected) => {
    expect(belongsToMesh(labels, identity)).toBe(expected);
  });

  test("what another folder's daemon made is not ours", () => {
    expect(isOurs({ [label.mesh]: "shop", [label.stateId]: "s2" }, identity)).toBe(false);
    expect(isOurs({ [label.mesh]: "shop", [label.stateId]: "s1" }, identity)).toBe(true);
  });

  test("our own container is read from its labels", () => {
    const labels = { [label.kind]: "sidecar", [label.owner]: "app", [label.ownerStartedAt]: "t", [label.image]: "i" };
    const raw = { Id: "o", Name: "/devmesh-x", Config: { Labels: labels }, State: { Status: "running" } };
    expect(readLabels(raw)).toEqual(labels);
    expect(readOwnContainer(raw, "")).toMatchObject({ id: "o", kind: "sidecar", owner: "app", ownerStartedAt: "t" });
  });
});
