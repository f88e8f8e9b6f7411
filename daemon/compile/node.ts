// Who a proxy is, and the names that its resolver answers with containers' own addresses.
import type { NodeConfig } from "../../proxy/contract/config.ts";
import type { World } from "../docker/world.ts";
import type { Spec } from "../spec/spec.ts";
import type { CompiledGateway } from "./gateways.ts";
import { reachesHost } from "./host-ports.ts";
import { identityOf } from "./identity.ts";
import { addressesOf, isAlive, type Service, type Workload } from "./model.ts";
import { compareText } from "./problems.ts";

export interface NodeContext {
  readonly spec: Spec;
  readonly world: World;
  readonly meshName: string;
  /** Of all services of the mesh: names that are never a container's. */
  readonly hosts: ReadonlySet<string>;
  /** Workloads whose containers have addresses now. */
  readonly alive: readonly Workload[];
  readonly host: NodeConfig["host"] | null;
}

export function aliveWorkloads(workloads: readonly Workload[]): readonly Workload[] {
  return workloads.filter(({ container }) => isAlive(container));
}

/** A service, and those of its names that are answered with its containers' addresses: those without a virtual one. */
export interface NamedService {
  readonly service: Service;
  readonly direct: readonly { readonly version: string | null; readonly hosts: readonly string[] }[];
}

export function nodeOfSidecar(workload: Workload, visible: readonly NamedService[], context: NodeContext): NodeConfig {
  const { container, networks, meshAddress } = workload;
  const own = container.networks.filter(({ networkId }) => networks.has(networkId));
  return {
    kind: "sidecar",
    ...placeOf(context, workload.service),
    version: workload.version,
    workload: container.name,
    // What listens on IPv6 alone is found there; most applications are where they are tried first.
    addresses: [
      ...own.flatMap(addressesOf).filter((address) => !address.includes(":")),
      ...own.flatMap(addressesOf).filter((address) => address.includes(":")),
      ...(meshAddress === "" ? [] : [meshAddress]),
    ],
    names: namesOf(workload, visible, context),
    ...(context.host && reachesHost(workload) && { host: context.host }),
  };
}

export function nodeOfGateway(gateway: CompiledGateway, name: string, context: Omit<NodeContext, "hosts">): NodeConfig {
  const { key, port } = gateway;
  const own = context.world.own.find(({ kind, owner }) => kind === "gateway" && owner === key);
  return {
    kind: "gateway",
    ...placeOf(context, name),
    version: null,
    workload: own?.name ?? `${context.meshName}-gateway-${port}`,
    addresses: own === undefined || own.meshAddress === "" ? [] : [own.meshAddress],
    names: {},
  };
}

function placeOf({ spec, world, meshName }: Omit<NodeContext, "hosts">, service: string) {
  const { trustDomain } = spec;
  return {
    mesh: meshName,
    namespace: meshName,
    trustDomain,
    service,
    identity: identityOf({ trustDomain, namespace: meshName }, service),
    meshSubnet: world.mesh?.subnet ?? "",
  };
}

/**
 * Docker would answer a container's name with its address on the mesh's network as gladly as with one on the project's;
 * only the latter is what the application would see without the mesh, and only where both share a network.
 */
function namesOf(caller: Workload, visible: readonly NamedService[], context: NodeContext): NodeConfig["names"] {
  const names = new Map<string, readonly string[]>();
  for (const workload of context.alive) {
    const name = workload.container.name.toLowerCase();
    const addresses = context.hosts.has(name) ? [] : sharedAddresses(caller, workload);
    if (addresses.length > 0) names.set(name, addresses);
  }
  for (const { service, direct } of visible) {
    for (const { version, hosts } of direct) {
      const addresses = directAddresses(caller, service, version);
      if (addresses.length > 0) for (const host of hosts) names.set(host, addresses);
    }
  }
  return Object.fromEntries([...names].sort(([a], [b]) => compareText(a, b)));
}

function directAddresses(caller: Workload, service: Service, version: string | null): readonly string[] {
  const workloads = service.workloads.filter(
    (workload) =>
      isAlive(workload.container) && !workload.container.isOneOff && (version === null || workload.version === version),
  );
  return [...new Set(workloads.flatMap((workload) => sharedAddresses(caller, workload)))].sort(compareText);
}

function sharedAddresses(caller: Workload, { container }: Workload): readonly string[] {
  const shared = container.networks.filter(({ networkId }) => caller.networks.has(networkId));
  return shared.flatMap(addressesOf);
}
