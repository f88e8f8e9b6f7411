// Network aliases that users gave. Docker resolves one only on the network it was given on, and so does the mesh.
import type { ServiceConfig } from "../../proxy/contract/config.ts";
import type { Container, World } from "../docker/world.ts";
import type { Catalog, Workload } from "./model.ts";
import { addressNamesOf, hostsOf, ownComposeServices } from "./names.ts";
import { compareText } from "./problems.ts";

/** Aliases by service, or by service and version where only the containers of that version carry them. */
export type Aliases = ReadonlyMap<string, readonly string[]>;

const aliasKey = (service: string, version: string | null) => `${service}\n${version ?? ""}`;

/** For callers on these networks. One that containers of two services carry means neither: Docker answers it. */
export function aliasesOn(
  networks: ReadonlySet<string>,
  { catalog, world, meshName }: { readonly catalog: Catalog; readonly world: World; readonly meshName: string },
): Aliases {
  const reserved = reservedNames(catalog, meshName);
  const owners = new Map<string, Set<Workload | Container>>();
  const add = (container: Container, owner: Workload | Container) => {
    if (container.isOneOff) return;
    for (const alias of userAliases(container, networks)) {
      if (!reserved.has(alias)) owners.set(alias, (owners.get(alias) ?? new Set()).add(owner));
    }
  };
  const outside = new Set(catalog.unmeshed.map(({ containerId }) => containerId));
  for (const workload of catalog.workloads) add(workload.container, workload);
  for (const container of world.containers) if (outside.has(container.id)) add(container, container);
  const aliases = new Map<string, string[]>();
  for (const alias of [...owners.keys()].sort(compareText)) {
    const key = ownerKey(catalog, [...(owners.get(alias) ?? [])]);
    if (key !== null) aliases.set(key, [...(aliases.get(key) ?? []), alias]);
  }
  return aliases;
}

/** The same object where it has none: most services are one for all who know them. */
export function withAliases(config: ServiceConfig, aliases: Aliases): ServiceConfig {
  const shared = aliases.get(aliasKey(config.name, null)) ?? [];
  const seen = new Set<string>();
  const versionHosts = config.versionHosts.map((named) => {
    const isFirst = !seen.has(named.version);
    seen.add(named.version);
    const own = isFirst ? (aliases.get(aliasKey(config.name, named.version)) ?? []) : [];
    return own.length === 0 ? named : { ...named, hosts: [...named.hosts, ...own] };
  });
  const isSame = shared.length === 0 && versionHosts.every((named, i) => named === config.versionHosts[i]);
  return isSame ? config : { ...config, hosts: [...config.hosts, ...shared], versionHosts };
}

function reservedNames(catalog: Catalog, meshName: string): ReadonlySet<string> {
  const services = addressNamesOf(catalog).flatMap((name) => hostsOf(name, meshName));
  return new Set([...services, ...[...catalog.outsideNames].map((name) => name.toLowerCase())]);
}

function ownerKey(catalog: Catalog, owners: readonly (Workload | Container)[]): string | null {
  const workloads = owners.filter((owner) => "container" in owner);
  const [first] = workloads;
  if (first === undefined || workloads.length < owners.length) return null;
  if (workloads.some(({ service }) => service !== first.service)) return null;
  const service = catalog.services.get(first.service);
  const isOneVersion = workloads.every(({ version }) => version === first.version);
  const hasOwnName =
    service !== undefined && ownComposeServices(service).some(({ version }) => version === first.version);
  return aliasKey(first.service, isOneVersion && hasOwnName ? first.version : null);
}

/** Without those that Docker adds itself: the id's first digits, and the container's name. */
function userAliases({ id, name, networks }: Container, shared: ReadonlySet<string>): ReadonlySet<string> {
  const attachments = networks.filter(({ networkId }) => shared.has(networkId));
  const all = attachments.flatMap(({ aliases }) => aliases.filter((alias) => alias !== name && !isIdPrefix(alias, id)));
  return new Set(all.filter((alias) => alias !== "").map((alias) => alias.toLowerCase()));
}

function isIdPrefix(alias: string, id: string): boolean {
  return alias.length >= 12 && id.startsWith(alias);
}
