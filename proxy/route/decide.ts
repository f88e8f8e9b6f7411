// From a request head and the table to a Decision: pure, but for the split that hands out its next destination.
import type { RetryConfig } from "../contract/config.ts";
import { type Failure, failure } from "../http/failure.ts";
import type { RequestHead } from "../http/message.ts";
import { type Destination, fixedDestination, nextDestination } from "./destination.ts";
import { pathOf } from "./route-match.ts";
import type { Binding, Table } from "./table.ts";

export type Decision =
  | {
      readonly kind: "forward";
      readonly destination: Destination;
      readonly routeName: string;
      readonly timeoutMs: number;
      readonly retry: RetryConfig;
    }
  | { readonly kind: "fail"; readonly failure: Failure };

/** Host names what it means on this port; a name that is none of the mesh's leaves the address that was dialled. */
export function bindingOf(
  table: Table,
  head: RequestHead,
  dialled: { binding: Binding | null; port: number },
): Binding | null {
  // A URL as target is for the HTTP proxy that was dialled, which is the application's business.
  if (head.isAbsoluteForm === true && dialled.binding !== null) return dialled.binding;
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
  const fixed = fixedDestination(binding, port);
  if (fixed !== null) {
    // The policies of the service's last route, which is its default.
    const { timeoutMs, retry } = service.routes.at(-1) ?? { timeoutMs: 0, retry: noRetry };
    const routeName = binding.endpointId === null ? `version ${binding.version}` : "address";
    return { kind: "forward", destination: fixed, routeName, timeoutMs, retry };
  }
  const servicePort = service.ports.get(port)?.number ?? port;
  const route = service.routes.find((candidate) => candidate.matches(head, servicePort));
  if (route === undefined) {
    const reason = `no route of ${service.config.name} fits ${head.method} ${pathOf(head.target)}`;
    return { kind: "fail", failure: failure("NR", 404, "route_not_found", reason) };
  }
  const { name: routeName, timeoutMs, retry, split } = route;
  const destination = nextDestination(table, { service, split, routeName }, port);
  if ("flag" in destination) return { kind: "fail", failure: destination };
  return { kind: "forward", destination, routeName, timeoutMs, retry };
}

const noRetry: RetryConfig = { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] };

/** "Cart.shop:8080" -> "cart.shop"; an IPv6 literal keeps its brackets off. */
export function hostOf(authority: string): string {
  if (authority.startsWith("[")) return authority.slice(1, Math.max(1, authority.indexOf("]"))).toLowerCase();
  const colon = authority.indexOf(":");
  const host = (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase();
  return host.endsWith(".") ? host.slice(0, -1) : host;
}
