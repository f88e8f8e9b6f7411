// Istio's host fields: which services of the mesh a host, short or full or with a wildcard, means.

import type { Catalog, Service } from "./model.ts";
import { hostsOf, ownComposeServices } from "./names.ts";
import { listed } from "./problems.ts";

export interface HostTarget {
  readonly service: Service;
  /** Set where the host is a compose service that is one version of the service. */
  readonly version: string | null;
}

export interface Hosts {
  /** The one service that the host means, or null. `namespace` is the document's; null is the mesh. */
  resolve(host: string, namespace: string | null): HostTarget | null;
  /** All services that the host covers: at most one unless it has a wildcard. A version's own name is none. */
  services(host: string, namespace: string | null): readonly Service[];
  /** What to do about a host that means nothing. */
  hint(host: string, namespace: string | null): string;
}

export function hostsIn(catalog: Catalog, meshName: string): Hosts {
  const targets = new Map<string, HostTarget>();
  const add = (name: string, target: HostTarget) => {
    for (const host of hostsOf(name, meshName)) if (!targets.has(host)) targets.set(host, target);
  };
  const services = [...catalog.services.values()];
  for (const service of services) add(service.name, { service, version: null });
  for (const service of services) {
    for (const { version, composeService } of ownComposeServices(service)) add(composeService, { service, version });
  }
  const resolve: Hosts["resolve"] = (host, namespace) => targets.get(qualified(host, namespace)) ?? null;
  return {
    resolve,
    services: (host, namespace) => {
      if (host.startsWith("*")) return services.filter(({ name }) => isCovered(name, host, meshName));
      const target = resolve(host, namespace);
      return target === null || target.version !== null ? [] : [target.service];
    },
    hint: (host, namespace) => {
      const target = resolve(host, namespace);
      if (target !== null)
        return `${host} is ${target.service.name} ${target.version}: use host ${target.service.name}`;
      const short = targets.get(host.split(".")[0]?.toLowerCase() ?? "");
      const isElsewhere = namespace !== null && namespace !== meshName;
      if (short !== undefined && isElsewhere) return `this mesh is the namespace ${meshName}, not ${namespace}`;
      if (short !== undefined) return `its name here is ${hostsOf(short.service.name, meshName).at(-1)}`;
      return services.length === 0 ? "" : `services are: ${listed(catalog.services.keys())}`;
    },
  };
}

/** Istio resolves a short name in the namespace of the document that has it. */
function qualified(host: string, namespace: string | null): string {
  const lower = host.toLowerCase().replace(/\.$/, "");
  return lower.includes(".") || namespace === null ? lower : `${lower}.${namespace.toLowerCase()}`;
}

function isCovered(name: string, host: string, meshName: string): boolean {
  const suffix = host.slice(1).toLowerCase();
  return hostsOf(name, meshName).some((candidate) => candidate.endsWith(suffix));
}
