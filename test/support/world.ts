// Builds Worlds for tests: name what matters, everything else is a plain running compose container with a sidecar's needs met.
import type { Attachment, Container, OwnContainer, World } from "../../daemon/docker/world.ts";

export interface ContainerOptions extends Partial<Omit<Container, "networks" | "service">> {
  /** Compose service; null: not of compose. */
  readonly service: string | null;
  /** Default: the World's project. */
  readonly project?: string;
  /** Networks of the project by short name. Default: ["default"]. */
  readonly on?: readonly string[];
  /** User's aliases, beside the compose service's name that compose gives. */
  readonly aliases?: readonly string[];
  /** False: it has not been connected to the mesh's network. */
  readonly isOnMesh?: boolean;
}

export interface WorldOptions {
  readonly project?: string;
  /** False: the mesh's network does not exist yet. */
  readonly hasMesh?: boolean;
  readonly own?: readonly OwnContainer[];
  /** Networks that have IPv6 as well: fd00:20::/64, fd00:21::/64, ... with the same numbers. */
  readonly ipv6On?: readonly string[];
  /** Networks without a way out. */
  readonly internal?: readonly string[];
  readonly containers: readonly ContainerOptions[];
}

/** Networks get 172.20.0.0/16, 172.21.0.0/16, ... by name; the mesh is 10.99.0.0/16; the n-th container is .n + 1. */
export function worldOf({
  project = "shop",
  hasMesh = true,
  own = [],
  ipv6On = [],
  internal = [],
  containers,
}: WorldOptions): World {
  const names = [...new Set(containers.flatMap(({ on = ["default"] }) => on))].sort();
  const mesh = { id: "net-mesh", name: "devmesh_shop", subnet: "10.99.0.0/16", gateway: "10.99.0.1" };
  return {
    containers: containers.map((options, index) =>
      containerOf(options, { project, hasMesh, names, ipv6On, internal, index }),
    ),
    own,
    mesh: hasMesh ? mesh : null,
    hostAddresses: ["172.17.0.1", "172.20.0.1", "192.168.1.20"],
  };
}

interface Place {
  readonly project: string;
  readonly hasMesh: boolean;
  readonly names: readonly string[];
  readonly ipv6On: readonly string[];
  readonly internal: readonly string[];
  readonly index: number;
}

function containerOf(options: ContainerOptions, place: Place): Container {
  const { service, project = place.project, on, aliases, isOnMesh, ...overrides } = options;
  const number = overrides.number ?? 1;
  const name = overrides.name ?? (service === null ? `container-${place.index}` : `${project}-${service}-${number}`);
  const compose: Record<string, string> = {};
  if (service !== null) {
    compose["com.docker.compose.project"] = project;
    compose["com.docker.compose.service"] = service;
  }
  const labels = { ...compose, ...overrides.labels };
  return {
    id: `${name}-id`,
    name,
    image: `${service ?? name}:latest`,
    service: labels["devmesh.service"] ?? service ?? name,
    version: labels["devmesh.version"] ?? labels.version ?? null,
    number,
    isOneOff: false,
    state: "running",
    startedAt: "2026-01-01T00:00:00Z",
    networkMode: "shop_default",
    exposedTcp: [],
    exposedUdp: [],
    published: [],
    hasHealthcheck: false,
    health: "none",
    isStopping: false,
    isPrivileged: false,
    isOptedOut: false,
    ...overrides,
    labels,
    networks: attachmentsOf(options, place),
  };
}

function attachmentsOf(
  options: ContainerOptions,
  { hasMesh, names, ipv6On, internal, index }: Place,
): readonly Attachment[] {
  const { service, on = ["default"], aliases = [], isOnMesh = true, state = "running" } = options;
  const isUp = state === "running" || state === "paused";
  const attach = (network: string, net: string, extra: Pick<Attachment, "networkId" | "isInternal" | "aliases">) => ({
    network,
    address: isUp ? `${net}.0.${index + 2}` : "",
    gateway: `${net}.0.1`,
    subnet: `${net}.0.0/16`,
    ipv6: null,
    ...extra,
  });
  const attachments = on.map((name) => {
    const all = service === null ? aliases : [service, ...aliases];
    const networkId = `net-${name}`;
    const number = 20 + names.indexOf(name);
    const attachment = attach(`shop_${name}`, `172.${number}`, {
      networkId,
      isInternal: internal.includes(name),
      aliases: all,
    });
    if (!ipv6On.includes(name)) return attachment;
    const [address, gateway] = [isUp ? `fd00:${number}::${index + 2}` : "", `fd00:${number}::1`];
    return { ...attachment, ipv6: { address, gateway, subnet: `fd00:${number}::/64` } };
  });
  const mesh = attach("devmesh_shop", "10.99", { networkId: "net-mesh", isInternal: true, aliases: [] });
  return hasMesh && isOnMesh ? [...attachments, mesh] : attachments;
}
