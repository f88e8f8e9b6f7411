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
import { compileRouteMatch, type RoutePredicate } from "./route-match.ts";
import type { Split, Splits } from "./split.ts";

export interface Table {
  readonly node: NodeConfig;
  readonly services: ReadonlyMap<string, Service>;
  /** Lower-case host names without port. */
  readonly byHost: ReadonlyMap<string, Binding>;
  /** Virtual and container addresses. */
  readonly byAddress: ReadonlyMap<string, Binding>;
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
  const services = new Map<string, Service>();
  for (const service of Object.values(config.services)) {
    services.set(service.name, buildService(service, config.endpoints[service.name] ?? [], generation.take));
  }
  const byHost = new Map<string, Binding>();
  const byAddress = new Map<string, Binding>();
  for (const service of services.values()) bind(service, byHost, byAddress);
  const table: Table = {
    node: config.node,
    services,
    byHost,
    byAddress,
    httpPorts: new Set([...services.values()].flatMap(httpPortsOf)),
    acceptance: config.inbound === null ? null : buildAcceptance(config.node, config.inbound),
    listeners: Object.values(config.listeners),
  };
  generation.commit();
  return table;
}

function buildService(
  config: ServiceConfig,
  endpoints: readonly EndpointConfig[],
  take: (key: string, destinations: readonly DestinationConfig[]) => Split,
): Service {
  const ports = new Map<number, PortConfig>();
  for (const port of config.ports) for (const alias of port.aliases) ports.set(alias, port);
  for (const port of config.ports) ports.set(port.number, port);
  const routes = config.routes.map(
    (route: RouteConfig, index): Route => ({
      name: route.name,
      matches: compileRouteMatch(route),
      split: take(`${config.name}/http/${index}/${route.name}`, route.destinations),
      timeoutMs: route.timeoutMs,
      retry: route.retry,
    }),
  );
  return { config, endpoints, routes, ports, tcp: take(`${config.name}/tcp`, config.tcp) };
}

function bind(service: Service, byHost: Map<string, Binding>, byAddress: Map<string, Binding>): void {
  const { config, endpoints } = service;
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
