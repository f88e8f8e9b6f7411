// From a request head and the table to a Decision: pure, but for the split that hands out its next destination.
import type { EndpointConfig, RetryConfig } from "../contract/config.ts";
import { type Failure, failure } from "../http/failure.ts";
import type { RequestHead } from "../http/message.ts";
import type { Binding, Service, Table } from "./table.ts";

export type Decision =
  | {
      readonly kind: "forward";
      readonly service: Service;
      /** The application's port. */
      readonly port: number;
      readonly version: string | null;
      readonly routeName: string;
      readonly timeoutMs: number;
      readonly retry: RetryConfig;
      /** Endpoints that may answer, as of this table. */
      readonly candidates: (service: Service) => readonly EndpointConfig[];
    }
  | { readonly kind: "fail"; readonly failure: Failure };

/** Host names what it means on this port; a name that is none of the mesh's leaves the address that was dialled. */
export function bindingOf(
  table: Table,
  head: RequestHead,
  dialled: { binding: Binding | null; port: number },
): Binding | null {
  const host = hostOf(head.authority);
  const named = host === "" ? undefined : table.byHost.get(host);
  // A container's own address means that container, whatever name the client writes into Host.
  if (dialled.binding?.endpointId != null && (named === undefined || named.service === dialled.binding.service)) {
    return dialled.binding;
  }
  if (named?.service.ports.has(dialled.port)) return named;
  return dialled.binding;
}

export function decide(table: Table, head: RequestHead, target: { binding: Binding; port: number }): Decision {
  const { binding, port } = target;
  const { service } = binding;
  if (binding.version !== null || binding.endpointId !== null) return decideFixed(binding, port);
  const servicePort = service.ports.get(port)?.number ?? port;
  const route = service.routes.find((candidate) => candidate.matches(head, servicePort));
  if (route === undefined) {
    return {
      kind: "fail",
      failure: failure(
        "NR",
        404,
        "route_not_found",
        `no route of ${service.config.name} fits ${head.method} ${head.target}`,
      ),
    };
  }
  const destination = route.split.next();
  if (destination === null) {
    return {
      kind: "fail",
      failure: failure(
        "NR",
        503,
        "no_cluster",
        `every destination of route ${route.name} of ${service.config.name} has weight 0`,
      ),
    };
  }
  const to = destination.service === service.config.name ? service : table.services.get(destination.service);
  if (to === undefined) {
    return {
      kind: "fail",
      failure: failure(
        "NC",
        503,
        "cluster_not_found",
        `route ${route.name} of ${service.config.name} leads to ${destination.service}, which is not in the mesh or shares no network with the caller`,
      ),
    };
  }
  const { subset } = destination;
  return {
    kind: "forward",
    service: to,
    port: portAt(to, destination.port ?? port),
    version: subset,
    routeName: route.name,
    timeoutMs: route.timeoutMs,
    retry: route.retry,
    candidates: (current) =>
      subset === null ? current.endpoints : current.endpoints.filter((endpoint) => endpoint.subsets.includes(subset)),
  };
}

/** An address or a name that means one version or one container: no route applies, the service's policies do. */
function decideFixed(binding: Binding, port: number): Decision {
  const { service, version, endpointId } = binding;
  const last = service.routes.at(-1);
  return {
    kind: "forward",
    service,
    port: portAt(service, port),
    version,
    routeName: endpointId === null ? `version ${version}` : "address",
    timeoutMs: last?.timeoutMs ?? 0,
    retry: last?.retry ?? { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] },
    candidates: (current) =>
      current.endpoints.filter((endpoint) =>
        endpointId === null ? endpoint.version === version : endpoint.id === endpointId,
      ),
  };
}

/** What the service listens on behind the port that was dialled; a service with one port takes what comes. */
function portAt(service: Service, dialled: number): number {
  return service.ports.get(dialled)?.number ?? dialled;
}

/** "Cart.shop:8080" -> "cart.shop"; an IPv6 literal keeps its brackets off. */
export function hostOf(authority: string): string {
  if (authority.startsWith("[")) return authority.slice(1, Math.max(1, authority.indexOf("]"))).toLowerCase();
  const colon = authority.indexOf(":");
  const host = (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
