// A service's routes, from whichever language has them.
import type { DestinationConfig, EndpointConfig, RouteConfig } from "../../proxy/contract/config.ts";
import type { RouteSpec, ServiceSpec } from "../spec/spec.ts";
import type { Hosts } from "./hosts.ts";
import type { Catalog, Service } from "./model.ts";
import type { Subsets } from "./subsets.ts";
import { type Binding, defaultRetry, routesOfVirtualService } from "./virtual-services.ts";

export interface RouteContext {
  readonly catalog: Catalog;
  readonly hosts: Hosts;
  readonly bound: ReadonlyMap<string, Binding>;
}

/** A VirtualService replaces native routes (having both is an error); else native routes, and the split for the rest. */
export function routesOf(service: Service, { catalog, hosts, bound }: RouteContext): readonly RouteConfig[] {
  const binding = bound.get(service.name);
  if (binding !== undefined) return routesOfVirtualService(binding.virtualService, service, hosts);
  const { spec } = service;
  const native = spec?.routes.map((route) => nativeRoute(route, spec, catalog)) ?? [];
  return [
    ...native,
    {
      name: "default",
      match: [],
      destinations: splitOf(service),
      timeoutMs: spec?.timeoutMs ?? 0,
      retry: spec?.retry ?? defaultRetry,
    },
  ];
}

/** Also where TCP connections go. Without a split every endpoint is alike, whatever its version. */
export function splitOf({ name, spec }: Service): readonly DestinationConfig[] {
  const split = spec?.split ?? null;
  if (split === null) return [{ service: name, subset: null, port: null, weight: 100 }];
  return split.map(({ version, weight }) => ({ service: name, subset: version, port: null, weight }));
}

function nativeRoute(route: RouteSpec, spec: ServiceSpec, catalog: Catalog): RouteConfig {
  return {
    name: route.name,
    match: route.match,
    destinations: route.to.map(({ service, version, weight }) => ({
      service,
      subset: version,
      port: service === spec.name ? null : onlyPort(catalog.services.get(service)),
      weight,
    })),
    timeoutMs: route.timeoutMs ?? spec.timeoutMs,
    retry: route.retry ?? spec.retry,
  };
}

function onlyPort(service: Service | undefined): number | null {
  return service?.ports.length === 1 ? (service.ports[0]?.number ?? null) : null;
}

export interface ShownSplit {
  /** Of the containers that the route's subset selects when they are of one version; else the subset's name. */
  readonly version: string;
  readonly weight: number;
  /** Something of it takes traffic now. */
  readonly isServed: boolean;
}

/** The split that requests without a special route get, for the view: weights by version, as far as there are versions. */
export function shownSplit(
  service: Service,
  subsets: Subsets,
  { routes, endpoints }: { readonly routes: readonly RouteConfig[]; readonly endpoints: readonly EndpointConfig[] },
): readonly ShownSplit[] {
  const rest = routes.find(({ match }) => match.length === 0)?.destinations ?? [];
  return rest.flatMap(({ service: name, subset, weight }) => {
    if (name !== service.name || subset === null) return [];
    const selected = service.workloads.filter((workload) => subsets.of(workload).includes(subset));
    const versions = new Set(selected.map(({ version }) => version));
    const [only = null] = versions.size === 1 ? versions : [];
    const isServed = endpoints.some(({ isBalanced, subsets: own }) => isBalanced && own.includes(subset));
    return [{ version: only ?? subset, weight, isServed }];
  });
}
