// Subsets of a service: its native versions, and those that DestinationRules select by labels.
import type { DestinationRuleSpec, Spec } from "../spec/spec.ts";
import type { Hosts } from "./hosts.ts";
import type { Catalog, Service, Workload } from "./model.ts";
import { compareText, listed, type Problems } from "./problems.ts";

export interface Subsets {
  readonly names: ReadonlySet<string>;
  /** Names of the subsets that a workload belongs to, sorted. */
  of(workload: Workload): readonly string[];
}

type SubsetSpec = DestinationRuleSpec["subsets"][number];

/** By service name. Two DestinationRules for one host are merged; of two subsets of one name the first counts. */
export function subsetsOf(catalog: Catalog, spec: Spec, hosts: Hosts): ReadonlyMap<string, Subsets> {
  const rules = new Map<string, Map<string, SubsetSpec>>();
  for (const rule of spec.destinationRules) {
    for (const { name } of hosts.services(rule.host, rule.namespace)) {
      const merged = rules.get(name) ?? new Map<string, SubsetSpec>();
      for (const subset of rule.subsets) if (!merged.has(subset.name)) merged.set(subset.name, subset);
      rules.set(name, merged);
    }
  }
  const entries = [...catalog.services.values()].map((service): [string, Subsets] => [
    service.name,
    subsetsOfService(service, [...(rules.get(service.name)?.values() ?? [])]),
  ]);
  return new Map(entries);
}

function subsetsOfService(service: Service, selectors: readonly SubsetSpec[]): Subsets {
  const native = service.versions.map(({ name }) => name);
  return {
    names: new Set([...native, ...selectors.map(({ name }) => name)]),
    of: (workload) => {
      const selected = selectors.filter(({ labels }) => selects(labels, workload)).map(({ name }) => name);
      // A workload's version is a subset too, whoever declared it: names such as payment-v2 mean one.
      const own = workload.version === null ? [] : [workload.version];
      return [...new Set([...own, ...selected])].sort(compareText);
    },
  };
}

function selects(labels: Readonly<Record<string, string>>, workload: Workload): boolean {
  return Object.entries(labels).every(([key, value]) => workload.labels[key] === value);
}

/** Istio's IST0173 and IST0174: both are tolerated, and said. */
export function checkDestinationRules(spec: Spec, hosts: Hosts, problems: Problems): void {
  for (const rule of spec.destinationRules) {
    const services = hosts.services(rule.host, rule.namespace);
    if (services.length === 0) {
      const message = `DestinationRule ${rule.name}: ${rule.host} is no service of this mesh`;
      problems.add("warning", "unknownHost", rule.origin, { message, hint: hosts.hint(rule.host, rule.namespace) });
    }
    const workloads = services.flatMap((service) => service.workloads).filter(({ container }) => !container.isOneOff);
    for (const subset of workloads.length === 0 ? [] : rule.subsets) {
      if (workloads.some((workload) => selects(subset.labels, workload))) continue;
      const wanted = Object.entries(subset.labels).map(([key, value]) => `${key}=${value}`);
      const message = `subset ${subset.name} of ${rule.host} selects no container`;
      const hint = `no container has the label ${listed(wanted)}`;
      problems.add("warning", "emptySubset", subset.origin, { message, hint });
    }
  }
}
