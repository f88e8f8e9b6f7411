// Specs and compiles in one line, for the tests of daemon/compile.

import { allocate } from "../../../daemon/compile/addresses.ts";
import { addressNames, type Compiled, compile } from "../../../daemon/compile/compile.ts";
import type { CompileInput } from "../../../daemon/compile/model.ts";
import type { World } from "../../../daemon/docker/world.ts";
import { defaultService, defaultSpec } from "../../../daemon/spec/defaults.ts";
import type {
  DestinationRuleSpec,
  GatewaySpec,
  Origin,
  RouteSpec,
  ServiceSpec,
  Spec,
  VersionSpec,
  VirtualServiceRouteSpec,
  VirtualServiceSpec,
} from "../../../daemon/spec/spec.ts";
import type { ProxyConfig, ServiceConfig } from "../../../proxy/contract/config.ts";

export const origin: Origin = { file: "mesh.yaml", line: 1, column: 1 };

export const spec = (parts: Partial<Spec> = {}): Spec => ({ ...defaultSpec, ...parts });

export const service = (name: string, parts: Partial<ServiceSpec> = {}): ServiceSpec => ({
  ...defaultService(name, origin),
  ...parts,
});

export const version = (name: string, container: string | null = null): VersionSpec => ({ name, origin, container });

export const route = (parts: Partial<RouteSpec> & Pick<RouteSpec, "to">): RouteSpec => ({
  origin,
  name: "route",
  match: [],
  timeoutMs: null,
  retry: null,
  ...parts,
});

export const gateway = (parts: Partial<GatewaySpec> & Pick<GatewaySpec, "to">): GatewaySpec => ({
  origin,
  host: "127.0.0.1",
  port: 8080,
  toPort: null,
  protocol: "http",
  hosts: [],
  ...parts,
});

export const virtualService = (
  hosts: readonly string[],
  http: readonly VirtualServiceRouteSpec[],
  parts: Partial<VirtualServiceSpec> = {},
): VirtualServiceSpec => ({
  origin,
  name: "vs",
  namespace: null,
  hosts: hosts.map((host) => ({ host, origin })),
  http,
  ...parts,
});

interface Destination {
  readonly host: string;
  readonly subset?: string;
  readonly port?: number;
  readonly weight?: number;
}

export const rule = (
  destinations: readonly Destination[],
  parts: Partial<VirtualServiceRouteSpec> = {},
): VirtualServiceRouteSpec => ({
  origin,
  name: "",
  match: [],
  route: destinations.map(({ host, subset = null, port = null, weight = 0 }) => ({
    origin,
    host,
    subset,
    port,
    weight,
  })),
  timeoutMs: 0,
  retry: null,
  ...parts,
});

export const destinationRule = (
  host: string,
  subsets: Readonly<Record<string, Readonly<Record<string, string>>>>,
  namespace: string | null = null,
): DestinationRuleSpec => ({
  origin,
  name: "dr",
  namespace,
  host,
  subsets: Object.entries(subsets).map(([name, labels]) => ({ origin, name, labels })),
});

export interface CompileOptions extends Partial<Omit<CompileInput, "world">> {
  readonly world: World;
}

/** Every sidecar is ready and every name has an address, unless said otherwise. */
export function inputOf({ world, ...options }: CompileOptions): CompileInput {
  const base = { spec: spec(), project: "shop", meshName: "shop", knownServices: null, ...options, world };
  const names = addressNames(base);
  return {
    readySidecars: new Set(world.containers.map(({ id }) => id)),
    addresses: world.mesh === null ? new Map() : allocate(names, new Map(), world.mesh.subnet),
    ...base,
  };
}

export const compiled = (options: CompileOptions): Compiled => compile(inputOf(options));

/** The config of a proxy by the container's name, or by a gateway's key. */
export function proxyOf(result: Compiled, name: string): ProxyConfig {
  const config = result.proxies.get(name) ?? result.proxies.get(`${name}-id`);
  if (config === undefined) throw new Error(`no proxy for ${name}; there are ${[...result.proxies.keys()].join(", ")}`);
  return config;
}

export function knownTo(result: Compiled, name: string): readonly string[] {
  return Object.keys(proxyOf(result, name).services);
}

/** A service as whichever proxy knows it: all are told the same. */
export function serviceIn(result: Compiled, name: string): ServiceConfig {
  for (const { services } of result.proxies.values()) {
    const config = services[name];
    if (config !== undefined) return config;
  }
  throw new Error(`no proxy knows ${name}`);
}

export function endpointIds(result: Compiled, name: string): readonly string[] {
  for (const { endpoints } of result.proxies.values()) {
    const found = endpoints[name];
    if (found !== undefined) return found.filter(({ isBalanced }) => isBalanced).map(({ workload }) => workload);
  }
  return [];
}
