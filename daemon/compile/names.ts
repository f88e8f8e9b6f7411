// The names that mean a service or one version of it: in DNS and as HTTP hosts.
import type { Container, World } from "../docker/world.ts";
import type { Catalog, Service, Workload } from "./model.ts";
import { compareText } from "./problems.ts";

export interface ServiceNames {
  /** Lower case; the fqdn is one of them. */
  readonly hosts: readonly string[];
  /** Versions that are compose services of their own, or that have aliases of their own. */
  readonly versions: readonly VersionNames[];
}

export interface VersionNames {
  readonly version: string;
  /** What its virtual address is allocated under. */
  readonly addressName: string;
  readonly hosts: readonly string[];
}

/** payment, payment.shop, payment.shop.svc, payment.shop.svc.cluster.local */
export function hostsOf(name: string, namespace: string): readonly string[] {
  const short = name.toLowerCase();
  const space = namespace.toLowerCase();
  return [short, `${short}.${space}`, `${short}.${space}.svc`, fqdnOf(name, namespace)];
}

export function fqdnOf(name: string, namespace: string): string {
  return `${name}.${namespace}.svc.cluster.local`.toLowerCase();
}

export function namesOf(catalog: Catalog, world: World, meshName: string): ReadonlyMap<string, ServiceNames> {
  const aliases = aliasesOf(catalog, world, reservedNames(catalog, meshName));
  const names = new Map<string, ServiceNames>();
  for (const service of catalog.services.values()) names.set(service.name, serviceNames(service, aliases, meshName));
  return names;
}

function serviceNames(service: Service, aliases: Aliases, meshName: string): ServiceNames {
  const versions: VersionNames[] = [];
  for (const { version, composeService } of ownComposeServices(service)) {
    const isFirst = versions.every((other) => other.version !== version);
    const own = isFirst ? (aliases.get(aliasKey(service.name, version)) ?? []) : [];
    versions.push({ version, addressName: composeService, hosts: [...hostsOf(composeService, meshName), ...own] });
  }
  const shared = aliases.get(aliasKey(service.name, null)) ?? [];
  return { hosts: [...hostsOf(service.name, meshName), ...shared], versions };
}

/** Compose services that are one version of this service under another name. */
export function ownComposeServices(service: Service): readonly { version: string; composeService: string }[] {
  return service.versions
    .filter(({ composeService }) => composeService !== service.name)
    .map(({ name, composeService }) => ({ version: name, composeService }));
}

/** Names that need a virtual address, sorted: services, and compose services that are one version of another. */
export function addressNamesOf(catalog: Catalog): readonly string[] {
  const services = [...catalog.services.values()];
  const versions = services.flatMap(ownComposeServices).map(({ composeService }) => composeService);
  return [...new Set([...catalog.services.keys(), ...versions])].sort(compareText);
}

/** Aliases by service, or by service and version where only the containers of that version carry them. */
type Aliases = ReadonlyMap<string, readonly string[]>;

const aliasKey = (service: string, version: string | null) => `${service}\n${version ?? ""}`;

function reservedNames(catalog: Catalog, meshName: string): ReadonlySet<string> {
  const services = addressNamesOf(catalog).flatMap((name) => hostsOf(name, meshName));
  return new Set([...services, ...[...catalog.outsideNames].map((name) => name.toLowerCase())]);
}

/** Network aliases that users gave. One that containers of two services carry means neither: Docker answers it. */
function aliasesOf(catalog: Catalog, world: World, reserved: ReadonlySet<string>): Aliases {
  const owners = new Map<string, Set<Workload | Container>>();
  const add = (container: Container, owner: Workload | Container) => {
    if (container.isOneOff) return;
    for (const alias of userAliases(container, world)) {
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
function userAliases({ id, name, networks }: Container, world: World): ReadonlySet<string> {
  const attachments = networks.filter(({ networkId }) => networkId !== world.mesh?.id);
  const all = attachments.flatMap(({ aliases }) => aliases.filter((alias) => alias !== name && !isIdPrefix(alias, id)));
  return new Set(all.filter((alias) => alias !== "").map((alias) => alias.toLowerCase()));
}

function isIdPrefix(alias: string, id: string): boolean {
  return alias.length >= 12 && id.startsWith(alias);
}
