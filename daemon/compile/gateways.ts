// The mesh's gateways: one per published listener, and what each one knows.
import type { ListenerConfig, Protocol } from "../../proxy/contract/config.ts";
import type { GatewaySpec, Spec } from "../spec/spec.ts";
import type { Catalog, Service } from "./model.ts";
import { httpPortOf } from "./ports.ts";
import { compareText, type Problems } from "./problems.ts";

export interface CompiledGateway {
  /** `gateway/<host>:<port>`: the key of its proxy, and the owner label of its container. */
  readonly key: string;
  /** Address on the host that Docker publishes it at. */
  readonly host: string;
  readonly port: number;
  readonly protocol: Protocol;
  /** Listens on the same port number inside its container. First match wins. */
  readonly routes: ListenerConfig["hosts"];
}

export function gatewayKey(host: string, port: number): string {
  return `gateway/${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** Specs that share an address are one listener, told apart by host; the loader has refused those that cannot be. */
export function gatewaysOf(spec: Spec, catalog: Catalog, problems: Problems): readonly CompiledGateway[] {
  const byKey = Map.groupBy(spec.gateways, ({ host, port }) => gatewayKey(host, port));
  const gateways: CompiledGateway[] = [];
  for (const [key, specs] of byKey) {
    const [first] = specs;
    if (first === undefined) continue;
    const routes = specs.flatMap((gateway) => routesOfGateway(gateway, catalog, problems));
    const { host, port, protocol } = first;
    gateways.push({ key, host, port, protocol, routes: routes.sort(bySpecificity) });
  }
  return gateways.sort((a, b) => compareText(a.key, b.key));
}

function routesOfGateway(
  gateway: GatewaySpec,
  catalog: Catalog,
  problems: Problems,
): ListenerConfig["hosts"][number][] {
  const { to, toPort, hosts, origin } = gateway;
  const service = catalog.services.get(to);
  if (service === undefined) return [];
  const port = toPort ?? httpPortOf(service);
  if (port === null) {
    // Before its first container is there, nobody can know; the gateway then answers 503 like any caller without a target.
    if (service.workloads.length > 0) {
      const message = `gateway ${gateway.port} leads to ${to}, which declares no port and exposes none`;
      problems.add("error", "noPort", origin, { message, hint: `write the port: \`to: ${to}:8080\`` });
    }
    return [];
  }
  return (hosts.length === 0 ? ["*"] : hosts).map((host) => ({ host, service: to, port }));
}

/** Exact hosts, then wildcards, the longest first, then any. */
function bySpecificity(a: { host: string }, b: { host: string }): number {
  const isWild = (host: string) => Number(host.startsWith("*"));
  return isWild(a.host) - isWild(b.host) || b.host.length - a.host.length || compareText(a.host, b.host);
}

/** The targets, and where the targets' own routes send requests on to. */
export function servicesOfGateway(
  gateway: CompiledGateway,
  catalog: Catalog,
  destinationsOf: (service: Service) => readonly string[],
): readonly Service[] {
  const targets = gateway.routes.flatMap(({ service }) => catalog.services.get(service) ?? []);
  const names = new Set(targets.flatMap((service) => [service.name, ...destinationsOf(service)]));
  return [...names].sort(compareText).flatMap((name) => catalog.services.get(name) ?? []);
}
