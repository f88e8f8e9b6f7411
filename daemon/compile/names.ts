// The names that mean a service or one version of it: in DNS and as HTTP hosts.
import type { Catalog, Service } from "./model.ts";
import { compareText } from "./problems.ts";

export interface ServiceNames {
  /** Lower case; the fqdn is one of them. */
  readonly hosts: readonly string[];
  /** Versions that are compose services of their own. */
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

/** Without aliases, which depend on who asks. */
export function namesOf(catalog: Catalog, meshName: string): ReadonlyMap<string, ServiceNames> {
  return new Map([...catalog.services.values()].map((service) => [service.name, serviceNames(service, meshName)]));
}

function serviceNames(service: Service, meshName: string): ServiceNames {
  const versions = ownComposeServices(service).map(({ version, composeService }) => {
    return { version, addressName: composeService, hosts: hostsOf(composeService, meshName) };
  });
  return { hosts: hostsOf(service.name, meshName), versions };
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
