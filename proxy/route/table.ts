// The immutable tables that `decide` reads, built from a ProxyConfig beside the old ones and swapped as one reference.
import type {
  DestinationConfig,
  EndpointConfig,
  ListenerConfig,
  NodeConfig,
  PortConfig,
  ProxyConfig,
  RetryConfig,
  RouteConfig,
  ServiceConfig,
} from "../contract/config.ts";
import { type Acceptance, buildAcceptance } from "./authorize.ts";
import { type HostPorts, hostPortsOf } from "./host-ports.ts";
import { compileRouteMatch, type RoutePredicate } from "./route-match.ts";
import type { Split, Splits } from "./split.ts";
import { isEverything, isInOneOf, type Subnet } from "./subnets.ts";

export interface Table {
  readonly node: NodeConfig;
  readonly services: ReadonlyMap<string, Service>;
  /** Lower-case host names without port. */
  readonly byHost: ReadonlyMap<string, Binding>;
  /** Virtual and container addresses. */
  readonly byAddress: ReadonlyMap<string, Binding>;
  /** What is published on the host. */
  readonly hostPorts: HostPorts;
  /** Ports on which at least one service speaks HTTP: worth sniffing towards addresses that the mesh does not know. */
  readonly httpPorts: ReadonlySet<number>;
  readonly acceptance: Acceptance | null;
  readonly listeners: readonly ListenerConfig[];
}

/** What a name or an address means: a service, one version of it, or one container. */
export interface Binding {
  readonly service: Service;
  readonly version: string | null;
  readonly endpointId: string | null;
}

export interface Service {
  readonly config: ServiceConfig;
  readonly endpoints: readonly EndpointConfig[];
  /** By endpoint id: where it is called in plaintext, which is at an address that this proxy shares a network with. */
  readonly plainAddresses: ReadonlyMap<string, string>;
  readonly routes: readonly Route[];
  readonly tcp: Split;
  /** By the port that was dialled, aliases included. */
  readonly ports: ReadonlyMap<number, PortConfig>;
}

export interface Route {
  readonly name: string;
  readonly matches: RoutePredicate;
  readonly split: Split;
  readonly timeoutMs: number;
  readonly retry: RetryConfig;
}

/** Throws on a config that cannot be used (a bad regex): it is then refused as a whole. */
export function buildTable(config: ProxyConfig, splits: Splits): Table {
  const generation = splits.generation();
  const acceptance = config.inbound === null ? null : buildAcceptance(config.node, config.inbound);
  const services = new Map<string, Service>();
  for (const service of Object.values(config.services)) {
    const endpoints = config.endpoints[service.name] ?? [];
    const plainAddresses = plainAddressesOf(service, endpoints, acceptance?.subnets ?? []);
    services.set(service.name, { ...buildService(service, generation.take), endpoints, plainAddresses });
  }
  const byHost = new Map<string, Binding>();
  const byAddress = new Map<string, Binding>();
  for (const service of services.values()) bind(service, byHost, byAddress);
  const table: Table = {
    node: config.node,
    services,
    byHost,
    byAddress,
    hostPorts: hostPortsOf(config.node.host, services),
    httpPorts: new Set([...services.values()].flatMap(httpPortsOf)),
    acceptance,
    listeners: Object.values(config.listeners),
  };
  generation.commit();
  return table;
}

function buildService(
  config: ServiceConfig,
  take: (key: string, destinations: readonly DestinationConfig[]) => Split,
): Omit<Service, "endpoints" | "plainAddresses"> {
  const ports = new Map<number, PortConfig>();
  for (const port of config.ports) for (const alias of port.aliases) ports.set(alias, port);
  for (const port of config.ports) ports.set(port.number, port);
  const named = new Map<string, number>();
  const routes = config.routes.map((route: RouteConfig): Route => {
    // By name and not by place: a route that is put before another must not begin the other's block anew.
    const nth = named.get(route.name) ?? 0;
    named.set(route.name, nth + 1);
    return {
      name: route.name,
      matches: compileRouteMatch(route),
      split: take(`${config.name}/http/${route.name}/${nth}`, route.destinations),
      timeoutMs: route.timeoutMs,
      retry: route.retry,
    };
  });
  return { config, routes, ports, tcp: take(`${config.name}/tcp`, config.tcp) };
}

/**
 * A service that takes plaintext is called in plaintext where both share a network. The mesh's own passes nothing but mTLS;
 * a gateway is on no other, so it goes on with mTLS, which such a service takes as well.
 */
function plainAddressesOf(
  service: ServiceConfig,
  endpoints: readonly EndpointConfig[],
  ownSubnets: readonly Subnet[],
): ReadonlyMap<string, string> {
  const addresses = new Map<string, string>();
  if (service.mtls !== "disable") return addresses;
  // A network that Docker has not described yet may be anything.
  const known = ownSubnets.filter((subnet) => !isEverything(subnet));
  for (const { id, aliases } of endpoints) {
    const shared = aliases.find((address) => isInOneOf(known, address));
    if (shared !== undefined) addresses.set(id, shared);
  }
  return addresses;
}

function bind(service: Service, byHost: Map<string, Binding>, byAddress: Map<string, Binding>): void {
  const { config, endpoints } = service;
  // A service without names is reached at ports of the host, and not at its containers' addresses.
  if (config.hosts.length === 0) return;
  const whole: Binding = { service, version: null, endpointId: null };
  for (const host of config.hosts) byHost.set(host, whole);
  if (config.address !== "") byAddress.set(config.address, whole);
  for (const { version, hosts, address } of config.versionHosts) {
    const binding: Binding = { service, version, endpointId: null };
    for (const host of hosts) byHost.set(host, binding);
    if (address !== "") byAddress.set(address, binding);
  }
  for (const endpoint of endpoints) {
    const binding: Binding = { service, version: endpoint.version, endpointId: endpoint.id };
    for (const address of [endpoint.address, ...endpoint.aliases]) byAddress.set(address, binding);
  }
}

function httpPortsOf(service: Service): number[] {
  return [...service.ports].filter(([, port]) => port.protocol === "http").map(([number]) => number);
}
