// Who may reach whom: the mesh never widens what the project's own networks allow, unless an allow rule names the caller.
import type { Catalog, Service, Workload } from "./model.ts";
import { compareText } from "./problems.ts";

/** Words of `allow: from` that are no service. */
export const anybody = "*";
export const outside = "outside";

export interface Isolation {
  /** Services that the workload's proxy knows, in order of name. */
  visibleTo(workload: Workload): readonly Service[];
  /** Names of the services whose workloads may call this one, sorted. */
  callersOf(service: Service): readonly string[];
}

export function isolationOf(catalog: Catalog): Isolation {
  const services = [...catalog.services.values()];
  const named = new Map(services.map((service) => [service.name, namedCallers(service)]));
  const byNetwork = new Map<string, Set<string>>();
  for (const workload of catalog.workloads) {
    for (const network of workload.networks) {
      byNetwork.set(network, (byNetwork.get(network) ?? new Set()).add(workload.service));
    }
  }
  return {
    visibleTo: (workload) =>
      services.filter(
        (service) => isUnplaced(service) || shares(workload, service) || named.get(service.name)?.has(workload.service),
      ),
    callersOf: (service) => {
      const near = [...service.networks].flatMap((network) => [...(byNetwork.get(network) ?? [])]);
      return [...new Set([...near, ...(named.get(service.name) ?? [])])].sort(compareText);
    },
  };
}

/**
 * A service without any container is on no network, so its name is known to all: it answers 503 with a reason rather
 * than to vanish from DNS while it is recreated. There is nothing behind it to be isolated from.
 */
function isUnplaced(service: Service): boolean {
  return service.workloads.every(({ container }) => container.isOneOff);
}

function shares(workload: Workload, service: Service): boolean {
  for (const network of workload.networks) if (service.networks.has(network)) return true;
  return false;
}

function namedCallers(service: Service): ReadonlySet<string> {
  const from = service.spec?.allow?.flatMap((rule) => rule.from) ?? [];
  return new Set(from.filter((name) => name !== anybody && name !== outside));
}
