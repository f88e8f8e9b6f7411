// Istio's VirtualServices: which one binds to a service, and its rules as our routes.
import type { DestinationConfig, RetryConfig, RouteConfig } from "../../proxy/contract/config.ts";
import type { Origin, Spec, VirtualServiceRouteSpec, VirtualServiceSpec } from "../spec/spec.ts";
import type { Hosts } from "./hosts.ts";
import type { Service } from "./model.ts";
import { listed, type Problems } from "./problems.ts";
import type { Subsets } from "./subsets.ts";

/** Istio's built-in policy: two more tries, and only where it is certain that nothing was processed. */
export const defaultRetry: RetryConfig = {
  attempts: 2,
  perTryTimeoutMs: 0,
  on: ["connect-failure", "refused-stream"],
  statusCodes: [],
};

export interface Binding {
  readonly virtualService: VirtualServiceSpec;
  /** Of the host that binds. */
  readonly origin: Origin;
  /** An exact host beats any wildcard, a longer wildcard a shorter one. */
  readonly specificity: number;
}

/** By service name: the most specific host wins, then the order of the documents (Istio's IST0109). */
export function bindVirtualServices(spec: Spec, hosts: Hosts, problems: Problems): ReadonlyMap<string, Binding> {
  const bound = new Map<string, Binding>();
  for (const virtualService of spec.virtualServices) {
    for (const { host, origin } of virtualService.hosts) {
      const services = hosts.services(host, virtualService.namespace);
      if (services.length === 0) {
        const message = `VirtualService ${virtualService.name}: ${host} is no service of this mesh`;
        const hint = hosts.hint(host, virtualService.namespace);
        problems.add("warning", "unknownHost", origin, { message, hint });
      }
      const specificity = host.startsWith("*") ? host.length : Number.POSITIVE_INFINITY;
      for (const { name } of services) {
        const other = bound.get(name);
        if (other === undefined || other.specificity < specificity)
          bound.set(name, { virtualService, origin, specificity });
        else if (other.specificity === specificity && other.virtualService !== virtualService) {
          const message = `VirtualService ${virtualService.name} has no effect on ${name}: ${other.virtualService.name} is bound to it already`;
          const hint = "put the rules of one host into one VirtualService";
          problems.add("warning", "hostBoundTwice", origin, { message, hint });
        }
      }
    }
  }
  return bound;
}

/**
 * What no rule matches has no route (404, NR), as in Istio: a catch-all is there only when the document has one.
 * Rules after it are unreachable and left out.
 */
export function routesOfVirtualService(
  virtualService: VirtualServiceSpec,
  service: Service,
  hosts: Hosts,
): readonly RouteConfig[] {
  const end = virtualService.http.findIndex(({ match }) => match.length === 0);
  const rules = end === -1 ? virtualService.http : virtualService.http.slice(0, end + 1);
  return rules.map(
    (rule, index): RouteConfig => ({
      name: rule.name === "" ? `${virtualService.name}.${index}` : rule.name,
      match: rule.match,
      destinations: rule.route.map((destination) => {
        const config = destinationOf(destination, { virtualService, service, hosts });
        // Istio ignores the weight of a rule's only destination.
        return rule.route.length === 1 ? { ...config, weight: 100 } : config;
      }),
      timeoutMs: rule.timeoutMs,
      retry: rule.retry ?? defaultRetry,
    }),
  );
}

function destinationOf(
  destination: VirtualServiceRouteSpec["route"][number],
  context: { virtualService: VirtualServiceSpec; service: Service; hosts: Hosts },
): DestinationConfig {
  const { host, subset, port, weight } = destination;
  const { namespace } = context.virtualService;
  const target = context.hosts.resolve(host, namespace);
  if (target === null) return { service: missingService(host, namespace), subset, port, weight };
  const { name, ports } = target.service;
  // Istio: a service's only port, else the port that the request came in on.
  const [only] = ports;
  const implied = name !== context.service.name && ports.length === 1 ? (only?.number ?? null) : null;
  return { service: name, subset: subset ?? target.version, port: port ?? implied, weight };
}

/** A name that no service has, so that the proxy answers 503 NC; never a short one, which this mesh may have. */
function missingService(host: string, namespace: string | null): string {
  return host.includes(".") || namespace === null ? host : `${host}.${namespace}.svc.cluster.local`;
}

export interface VirtualServiceCheck {
  readonly spec: Spec;
  readonly hosts: Hosts;
  readonly subsets: ReadonlyMap<string, Subsets>;
  readonly bound: ReadonlyMap<string, Binding>;
  readonly problems: Problems;
}

/** What Istio tolerates is a warning; two languages about one service's routes are an error, since one would be lost. */
export function checkVirtualServices(check: VirtualServiceCheck): void {
  for (const virtualService of check.spec.virtualServices) {
    for (const destination of virtualService.http.flatMap(({ route }) => route)) {
      checkDestination(check, virtualService, destination);
    }
  }
  for (const service of check.spec.services) {
    const binding = check.bound.get(service.name);
    if (binding === undefined || (service.routes.length === 0 && service.split === null)) continue;
    const what = service.split === null ? "routes" : "split";
    const message = `${service.name} is routed twice: by ${what} on line ${service.origin.line}, and by the VirtualService ${binding.virtualService.name}`;
    check.problems.add("error", "routedTwice", binding.origin, { message, hint: "keep one of them" });
  }
}

function checkDestination(
  { hosts, subsets, problems }: VirtualServiceCheck,
  { name, namespace }: VirtualServiceSpec,
  { origin, host, subset }: VirtualServiceRouteSpec["route"][number],
): void {
  const target = hosts.resolve(host, namespace);
  if (target === null) {
    const message = `VirtualService ${name} routes to ${host}, which is no service of this mesh: 503 (NC)`;
    problems.add("warning", "unknownHost", origin, { message, hint: hosts.hint(host, namespace) });
    return;
  }
  const names = subsets.get(target.service.name)?.names ?? new Set<string>();
  if (subset === null || names.has(subset)) return;
  const message = `VirtualService ${name} routes to subset ${subset} of ${host}, which no DestinationRule declares: 503`;
  const hint = names.size === 0 ? `add a DestinationRule for ${host}` : `its subsets are ${listed(names)}`;
  problems.add("warning", "unknownSubset", origin, { message, hint });
}
