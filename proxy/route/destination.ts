// Where a request or a connection goes once its route is chosen: a service, its port, and which endpoints may take it.
import type { EndpointConfig } from "../contract/config.ts";
import { type Failure, failure } from "../http/failure.ts";
import type { Split } from "./split.ts";
import type { Binding, Service, Table } from "./table.ts";

export interface Destination {
  readonly service: Service;
  /** The application's port. */
  readonly port: number;
  readonly version: string | null;
  /** Endpoints that may answer, of the service as it is in the table of that moment. */
  candidates(current: Service): readonly EndpointConfig[];
}

/** Null where routes apply: an address or a name that means one version or one container goes past them. */
export function fixedDestination({ service, version, endpointId }: Binding, dialled: number): Destination | null {
  if (version === null && endpointId === null) return null;
  // Who dials a container's own address means it, whether or not it takes part in balancing.
  const fits = (endpoint: EndpointConfig) =>
    endpointId === null ? endpoint.isBalanced && endpoint.version === version : endpoint.id === endpointId;
  const port = servicePort(service, dialled);
  return { service, port, version, candidates: (current) => current.endpoints.filter(fits) };
}

/** The next destination of a split. `routeName` is for people. */
export function nextDestination(
  table: Table,
  from: { service: Service; split: Split; routeName: string },
  dialled: number,
): Destination | Failure {
  const { service, split, routeName } = from;
  const { name } = service.config;
  const chosen = split.next();
  if (chosen === null)
    return failure("NC", 503, "cluster_not_found", `every destination of route ${routeName} of ${name} has weight 0`);
  const to = chosen.service === name ? service : table.services.get(chosen.service);
  if (to === undefined) {
    const reason = `route ${routeName} of ${name} leads to ${chosen.service}, which is not in the mesh or shares no network with the caller`;
    return failure("NC", 503, "cluster_not_found", reason);
  }
  const { subset } = chosen;
  if (subset !== null && !to.config.subsets.includes(subset)) {
    const reason = `route ${routeName} of ${name} leads to subset ${subset} of ${chosen.service}, which has only ${to.config.subsets.join(", ") || "none"}`;
    return failure("NC", 503, "cluster_not_found", reason);
  }
  const fits = (endpoint: EndpointConfig) =>
    endpoint.isBalanced && (subset === null || endpoint.subsets.includes(subset));
  const port = servicePort(to, chosen.port ?? dialled);
  return { service: to, port, version: subset, candidates: (current) => current.endpoints.filter(fits) };
}

/** What the service listens on behind the port that was dialled; an undeclared port stands for itself. */
function servicePort(service: Service, dialled: number): number {
  return service.ports.get(dialled)?.number ?? dialled;
}
