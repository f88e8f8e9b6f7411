// Containers and own containers of a World, with everything defaulted that a test does not speak of.
import type { Container, OwnContainer, World } from "../../daemon/docker/world.ts";

export function container(name: string, change: Partial<Container> = {}): Container {
  return {
    id: `${name}-id`,
    name: `shop-${name}-1`,
    image: "node:24",
    service: name,
    version: null,
    labels: { "com.docker.compose.project": "shop", "com.docker.compose.service": name },
    number: 1,
    isOneOff: false,
    state: "running",
    startedAt: "2026-01-01T00:00:00Z",
    networks: [attachment("net", "shop_default", "172.20.0.9"), attachment("mesh", "devmesh_shop", "10.99.0.9")],
    networkMode: "shop_default",
    exposedTcp: [8080],
    exposedUdp: [],
    published: [],
    hasHealthcheck: false,
    health: "none",
    isStopping: false,
    isPrivileged: false,
    isOptedOut: false,
    ...change,
  };
}

function attachment(networkId: string, network: string, address: string): Container["networks"][number] {
  const base = address.replace(/\.\d+$/, "");
  return {
    networkId,
    network,
    address,
    gateway: `${base}.1`,
    subnet: `${base}.0/24`,
    ipv6: null,
    aliases: [],
    isInternal: networkId === "mesh",
  };
}

export function sidecarOf(owner: Container, change: Partial<OwnContainer> = {}): OwnContainer {
  return {
    id: `sidecar-of-${owner.id}`,
    name: `devmesh-${owner.name}`,
    kind: "sidecar",
    owner: owner.id,
    ownerStartedAt: owner.startedAt,
    image: "devmesh/proxy:test",
    optionsHash: "",
    state: "running",
    startedAt: "2026-01-01T00:00:01Z",
    meshAddress: "",
    ...change,
  };
}

export function world(containers: readonly Container[], own: readonly OwnContainer[] = []): World {
  return {
    containers,
    own,
    hostAddresses: [],
    mesh: { id: "mesh", name: "devmesh_shop", subnet: "10.99.0.0/24", gateway: "10.99.0.1" },
  };
}
