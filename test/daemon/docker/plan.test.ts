import { describe, expect, test } from "vitest";
import {
  type DesiredGateway,
  type DesiredSidecar,
  gatewayOptions,
  hashOptions,
  sidecarOptions,
} from "../../../daemon/docker/own-spec.ts";
import { type Action, type Desired, drainMs, hostsKey, planActions } from "../../../daemon/docker/plan.ts";
import type { Container, ContainerState, MeshNetwork, OwnContainer, World } from "../../../daemon/docker/world.ts";

const mesh: MeshNetwork = { id: "net", name: "devmesh_shop", subnet: "10.213.0.0/16", gateway: "10.213.0.1" };
const sidecar: DesiredSidecar = { containerId: "app", startedAt: "t1", container: "shop-cart-1" };
const gateway: DesiredGateway = {
  key: "gateway/127.0.0.1:8080",
  host: "127.0.0.1",
  port: 8080,
  containerPort: 8080,
};

function app(state: ContainerState, { address = "10.213.0.5", startedAt = "t1" } = {}): Container {
  const attachment = { gateway: "", subnet: mesh.subnet, ipv6: null, aliases: [], isInternal: true };
  return {
    id: "app",
    name: "shop-cart-1",
    image: "cart",
    service: "cart",
    version: null,
    labels: {},
    number: 1,
    isOneOff: false,
    state,
    startedAt,
    networks: address === "" ? [] : [{ ...attachment, networkId: mesh.id, network: mesh.name, address }],
    networkMode: "shop_default",
    exposedTcp: [],
    exposedUdp: [],
    published: [],
    hasHealthcheck: false,
    health: "none",
    isStopping: false,
    isPrivileged: false,
    isOptedOut: false,
  };
}

function ownSidecar(overrides: Partial<OwnContainer> = {}): OwnContainer {
  return {
    id: "side",
    name: "devmesh-shop-cart-1",
    kind: "sidecar",
    owner: "app",
    ownerStartedAt: "t1",
    image: "proxy:1",
    optionsHash: hashOptions(sidecarOptions(sidecar, mesh)),
    state: "running",
    startedAt: "t2",
    meshAddress: "",
    ...overrides,
  };
}

function ownGateway(overrides: Partial<OwnContainer> = {}): OwnContainer {
  const optionsHash = hashOptions(gatewayOptions(gateway, mesh));
  return ownSidecar({ id: "gate", kind: "gateway", owner: gateway.key, ownerStartedAt: "", optionsHash, ...overrides });
}

const world = (overrides: Partial<World>): World => ({
  containers: [app("running")],
  own: [],
  mesh,
  hostAddresses: [],
  ...overrides,
});
const cleaned = new Set([hostsKey("app", "t1", "10.213.0.5")]);
const wanted: Desired = {
  image: "proxy:1",
  sidecars: [sidecar],
  gateways: [],
  hostsCleaned: cleaned,
  replaced: new Set(),
};
const nothing: Desired = { ...wanted, sidecars: [] };

/** "create-sidecar app connects", "remove-own side drained" */
function brief(action: Action): string {
  const subject = "ownId" in action ? action.ownId : action.key;
  const how = "graceMs" in action && action.graceMs >= drainMs ? " drained" : "";
  return `${action.kind} ${subject}${how}${"connects" in action && action.connects ? " connects" : ""}`;
}

describe("planActions", () => {
  const rows: [string, World, Desired, string[]][] = [
    ["does nothing when all is well", world({ own: [ownSidecar()] }), wanted, []],
    ["makes the network before anything else", world({ mesh: null }), wanted, ["ensure-network network"]],
    ["needs no network for an empty mesh", world({ mesh: null, containers: [] }), nothing, []],
    ["attaches a connected container", world({}), wanted, ["create-sidecar app"]],
    [
      "connects a new container while it is attached",
      world({ containers: [app("running", { address: "" })] }),
      wanted,
      ["create-sidecar app connects"],
    ],
    [
      "connects one again that somebody disconnected",
      world({ containers: [app("running", { address: "" })], own: [ownSidecar()] }),
      wanted,
      ["connect app"],
    ],
    ["attaches to a paused container too", world({ containers: [app("paused")] }), wanted, ["create-sidecar app"]],
    ["does not attach to one that stopped meanwhile", world({ containers: [app("exited")] }), wanted, []],
    [
      "starts a sidecar that died, in the same namespace",
      world({ own: [ownSidecar({ state: "exited" })] }),
      wanted,
      ["start-own side"],
    ],
    [
      "starts a sidecar that was created when the daemon died",
      world({ own: [ownSidecar({ state: "created" })] }),
      wanted,
      ["start-own side"],
    ],
    [
      "makes a new sidecar when the container was restarted, since the old namespace is dead",
      world({ own: [ownSidecar({ ownerStartedAt: "t0" })] }),
      wanted,
      ["remove-own side", "create-sidecar app"],
    ],
    [
      "keeps a sidecar of another version as long as it runs",
      world({ own: [ownSidecar({ image: "proxy:0" })] }),
      wanted,
      [],
    ],
    [
      "keeps a gateway of another version as long as it runs",
      world({ containers: [], own: [ownGateway({ image: "proxy:0" })] }),
      { ...nothing, gateways: [gateway] },
      [],
    ],
    [
      "replaces a sidecar of another version when it is its turn, draining",
      world({ own: [ownSidecar({ image: "proxy:0" })] }),
      { ...wanted, replaced: new Set(["side"]) },
      ["remove-own side drained", "create-sidecar app"],
    ],
    [
      "replaces a sidecar whose options changed, draining",
      world({ own: [ownSidecar({ optionsHash: "old" })] }),
      wanted,
      ["remove-own side drained", "create-sidecar app"],
    ],
    [
      "does not wait for a dead container to drain",
      world({ own: [ownSidecar({ image: "proxy:0", state: "exited" })] }),
      wanted,
      ["remove-own side", "create-sidecar app"],
    ],
    [
      "keeps one of two sidecars",
      world({ own: [ownSidecar(), ownSidecar({ id: "side2" })] }),
      wanted,
      ["remove-own side2"],
    ],
    [
      "removes the sidecar of a stopped container at once",
      world({ containers: [app("exited")], own: [ownSidecar()] }),
      nothing,
      ["remove-own side"],
    ],
    [
      "removes the sidecar of a container that is gone",
      world({ containers: [], own: [ownSidecar()] }),
      nothing,
      ["remove-own side"],
    ],
    ["leaves a stopped container connected", world({ containers: [app("exited")] }), nothing, []],
    [
      "takes a running container out of the mesh: rules, sidecar, network",
      world({ own: [ownSidecar()] }),
      nothing,
      ["remove-rules app", "remove-own side drained", "disconnect app"],
    ],
    [
      "does the same where only the network connection is left",
      world({}),
      nothing,
      ["remove-rules app", "disconnect app"],
    ],
    ["leaves alone what never was in the mesh", world({ containers: [app("running", { address: "" })] }), nothing, []],
    [
      "removes a one-shot that was left over",
      world({ own: [ownSidecar(), ownSidecar({ id: "shot", kind: "one-shot", state: "exited" })] }),
      wanted,
      ["remove-own shot"],
    ],
    [
      "cleans the hosts file once the sidecar runs",
      world({ own: [ownSidecar()] }),
      { ...wanted, hostsCleaned: new Set() },
      ["clean-hosts app"],
    ],
    [
      "does not clean it before",
      world({ own: [ownSidecar({ state: "created" })] }),
      { ...wanted, hostsCleaned: new Set() },
      ["start-own side"],
    ],
    [
      "opens a gateway",
      world({ containers: [] }),
      { ...nothing, gateways: [gateway] },
      [`create-gateway ${gateway.key}`],
    ],
    [
      "keeps a gateway that is as it should be",
      world({ containers: [], own: [ownGateway()] }),
      { ...nothing, gateways: [gateway] },
      [],
    ],
    [
      "starts a gateway that died",
      world({ containers: [], own: [ownGateway({ state: "exited" })] }),
      { ...nothing, gateways: [gateway] },
      ["start-own gate"],
    ],
    [
      "replaces a gateway whose container port changed",
      world({ containers: [], own: [ownGateway()] }),
      { ...nothing, gateways: [{ ...gateway, containerPort: 9 }] },
      ["remove-own gate drained", `create-gateway ${gateway.key}`],
    ],
    [
      "closes a gateway that nobody wants",
      world({ containers: [], own: [ownGateway()] }),
      nothing,
      ["remove-own gate drained"],
    ],
  ];
  test.each(rows)("%s", (_why, given, desired, expected) => {
    expect(planActions({ world: given, desired }).map(brief)).toEqual(expected);
  });

  test("everything that concerns one container has one key, so that it happens in order", () => {
    const restarted = world({
      containers: [app("running", { address: "" })],
      own: [ownSidecar({ ownerStartedAt: "t0" })],
    });
    expect(new Set(planActions({ world: restarted, desired: wanted }).map(({ key }) => key))).toEqual(new Set(["app"]));
  });
});
