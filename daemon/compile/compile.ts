// Spec and World to what every proxy is told. Pure: equal input gives equal output, whatever order Docker lists things in.
import type { HostConfig, MtlsMode, PortConfig, ProxyConfig, ServiceConfig } from "../../proxy/contract/config.ts";
import type { Diagnostic } from "../spec/diagnostic.ts";
import { aliasesOn, withAliases } from "./aliases.ts";
import { checkCapture } from "./check-capture.ts";
import { endpointsOf } from "./endpoints.ts";
import { type CompiledGateway, gatewaysOf, servicesOfGateway } from "./gateways.ts";
import { hostCallersOf, hostPortsOf, reachesHost } from "./host-ports.ts";
import { hostsIn } from "./hosts.ts";
import { gatewayName, identityOf } from "./identity.ts";
import { inboundOf, mtlsOf, openPortsOf } from "./inbound.ts";
import { isolationOf } from "./isolation.ts";
import type { Catalog, CompileInput, Service, Unmeshed } from "./model.ts";
import { addressNamesOf, namesOf } from "./names.ts";
import { aliveWorkloads, type NamedService, type NodeContext, nodeOfGateway, nodeOfSidecar } from "./node.ts";
import { collectProblems, compareText, type Problems } from "./problems.ts";
import { checkReferences } from "./references.ts";
import { type ShownSplit, shownSplit } from "./routes.ts";
import { serviceConfigOf } from "./service-config.ts";
import { type CatalogInput, catalogOf, composeServicesOf } from "./services-of-world.ts";
import { type DesiredSidecar, sidecarsOf } from "./sidecars.ts";
import { checkDestinationRules, type Subsets, subsetsOf } from "./subsets.ts";
import { bindVirtualServices, checkVirtualServices } from "./virtual-services.ts";

export interface Compiled {
  /** By owner: an application container's id, or a gateway's key. Complete even where diagnostics are errors. */
  readonly proxies: ReadonlyMap<string, ProxyConfig>;
  /** An error refuses a new Spec; the World changing under an accepted one must still be pushed. */
  readonly diagnostics: readonly Diagnostic[];
  readonly services: readonly CompiledService[];
  readonly sidecars: readonly DesiredSidecar[];
  readonly gateways: readonly CompiledGateway[];
  readonly unmeshed: readonly Unmeshed[];
}

/** A service for the status view. */
export interface CompiledService {
  readonly name: string;
  readonly isDeclared: boolean;
  readonly address: string;
  readonly ports: readonly PortConfig[];
  readonly mtls: MtlsMode;
  readonly versions: readonly string[];
  /** What requests without a route of their own get; empty: all endpoints alike. */
  readonly split: readonly ShownSplit[];
  /** Every container of it that is in the mesh, in order of name. */
  readonly workloads: readonly { readonly containerId: string; readonly version: string | null }[];
  /** Container ports that compose publishes and that `outside` may use. */
  readonly openPorts: readonly number[];
}

/** Names that need a virtual address: what `allocate` takes and `CompileInput.addresses` holds. */
export function addressNames(input: CatalogInput): readonly string[] {
  return addressNamesOf(catalogOf(input));
}

export function compile(input: CompileInput): Compiled {
  const { spec, meshName } = input;
  const catalog = catalogOf(input);
  const problems = collectProblems();
  const hosts = hostsIn(catalog, meshName);
  const subsets = subsetsOf(catalog, spec, hosts);
  const bound = bindVirtualServices(spec, hosts, problems);
  const isChecked = input.knownServices !== null;
  checkReferences({ spec, catalog, composeServices: composeServicesOf(input), isChecked, problems });
  checkVirtualServices({ spec, hosts, subsets, bound, problems });
  checkDestinationRules(spec, hosts, problems);
  checkAddresses(input, catalog, problems);
  checkCapture(catalog, spec, problems);
  const names = namesOf(catalog, meshName);
  const parts = new Map<string, Part>();
  for (const service of catalog.services.values()) {
    const serviceNames = names.get(service.name) ?? { hosts: [], versions: [] };
    const own = subsets.get(service.name) ?? { names: new Set<string>(), of: () => [] };
    const about = { names: serviceNames, subsets: own };
    const config = serviceConfigOf(service, about, { input, catalog, hosts, bound });
    parts.set(service.name, {
      service,
      config,
      endpoints: endpointsOf(service, own, input.readySidecars),
      direct: directOf(config),
      subsets: own,
    });
  }
  const gateways = gatewaysOf(spec, catalog, problems);
  return {
    proxies: proxiesOf({ input, catalog, parts, gateways }),
    diagnostics: problems.sorted(),
    services: [...parts.values()].map((part) => compiledService(part, input)),
    sidecars: sidecarsOf(catalog.workloads, input),
    gateways,
    unmeshed: catalog.unmeshed,
  };
}

/** Names without a virtual address. */
function directOf({ hosts, address, versionHosts }: ServiceConfig): NamedService["direct"] {
  return [{ version: null, hosts, address }, ...versionHosts].filter((named) => named.address === "");
}

interface Part extends NamedService {
  readonly subsets: Subsets;
  readonly config: ProxyConfig["services"][string];
  readonly endpoints: ProxyConfig["endpoints"][string];
}

interface ProxiesInput {
  readonly input: CompileInput;
  readonly catalog: Catalog;
  readonly parts: ReadonlyMap<string, Part>;
  readonly gateways: readonly CompiledGateway[];
}

function proxiesOf({ input, catalog, parts, gateways }: ProxiesInput): ReadonlyMap<string, ProxyConfig> {
  const { spec, world, meshName } = input;
  const isolation = isolationOf(catalog);
  const alive = aliveWorkloads(catalog.workloads);
  const viewFrom = viewsOf({ catalog, world, meshName, parts });
  const host = hostPortsOf(catalog, world);
  const nodeContext: Omit<NodeContext, "hosts"> = { spec, world, meshName, alive, host };
  const published = publishedParts(host, parts);
  const gateway = gatewayName(catalog.services);
  const known = gateways.map((one) => partsOfGateway(one, catalog, parts));
  const routed = new Set(known.flat().map(({ service }) => service.name));
  const callersOf = (service: Service) => {
    const callers = isolation.callersOf(service);
    return routed.has(service.name) ? [...new Set([...callers, gateway])].sort(compareText) : callers;
  };
  const identity = (name: string) => identityOf({ trustDomain: spec.trustDomain, namespace: meshName }, name);
  const hostCallers = hostCallersOf(catalog).map(identity);
  const proxies: [string, ProxyConfig][] = [];
  for (const workload of alive) {
    const view = viewFrom(workload.networks);
    const visible = isolation.visibleTo(workload).flatMap(({ name }) => view.parts.get(name) ?? []);
    const own = catalog.services.get(workload.service);
    const inbound =
      own === undefined ? null : inboundOf(own, workload, { spec, gateway, identity, callersOf, hostCallers });
    const node = nodeOfSidecar(workload, visible, { ...nodeContext, hosts: view.hosts });
    const byHost = reachesHost(workload) ? published : [];
    const known = [...visible, ...byHost.filter(({ service }) => !visible.some((part) => part.service === service))];
    proxies.push([workload.container.id, { node, ...knowledgeOf(known), inbound, listeners: {} }]);
  }
  for (const [index, one] of gateways.entries()) {
    const listeners = { [one.port]: { port: one.port, protocol: one.protocol, hosts: one.routes } };
    const node = nodeOfGateway(one, gateway, nodeContext);
    proxies.push([one.key, { node, ...knowledgeOf(known[index] ?? []), inbound: null, listeners }]);
  }
  return new Map(proxies.sort(([a], [b]) => compareText(a, b)));
}

interface View {
  readonly parts: ReadonlyMap<string, Part>;
  /** All names of all services. */
  readonly hosts: ReadonlySet<string>;
}

/** The services with the aliases that callers on these networks have for them; one view for all on the same. */
function viewsOf({
  parts,
  ...of
}: Parameters<typeof aliasesOn>[1] & Pick<ProxiesInput, "parts">): (networks: ReadonlySet<string>) => View {
  const views = new Map<string, View>();
  return (networks) => {
    const key = [...networks].sort(compareText).join();
    const known = views.get(key);
    if (known !== undefined) return known;
    const aliases = aliasesOn(networks, of);
    const seen = [...parts].map(([name, part]): [string, Part] => {
      const config = withAliases(part.config, aliases);
      return [name, config === part.config ? part : { ...part, config, direct: directOf(config) }];
    });
    const hosts = seen.flatMap(([, { config }]) => [config, ...config.versionHosts].flatMap((named) => named.hosts));
    const view = { parts: new Map(seen), hosts: new Set(hosts) };
    views.set(key, view);
    return view;
  };
}

/** Services that everybody reaches by way of the host, as those know them who share no network with them: without any name. */
function publishedParts(host: HostConfig | null, parts: ProxiesInput["parts"]): readonly Part[] {
  const names = new Set(host?.ports.map(({ service }) => service));
  return [...names].flatMap((name) => {
    const part = parts.get(name);
    if (part === undefined) return [];
    return [{ ...part, config: { ...part.config, hosts: [], address: "", versionHosts: [] } }];
  });
}

function partsOfGateway(gateway: CompiledGateway, catalog: Catalog, parts: ProxiesInput["parts"]): readonly Part[] {
  const destinationsOf = ({ name }: Service) =>
    parts.get(name)?.config.routes.flatMap(({ destinations }) => destinations.map(({ service }) => service)) ?? [];
  return servicesOfGateway(gateway, catalog, destinationsOf).flatMap(({ name }) => parts.get(name) ?? []);
}

function knowledgeOf(parts: readonly Part[]): Pick<ProxyConfig, "services" | "endpoints"> {
  return {
    services: Object.fromEntries(parts.map(({ config }) => [config.name, config])),
    endpoints: Object.fromEntries(parts.map(({ config, endpoints }) => [config.name, endpoints])),
  };
}

function compiledService({ service, subsets, config, endpoints }: Part, { spec }: CompileInput): CompiledService {
  return {
    name: service.name,
    isDeclared: service.spec !== null,
    address: config.address,
    ports: service.ports,
    mtls: mtlsOf(service, spec),
    versions: [...new Set(service.versions.map(({ name }) => name))],
    split: shownSplit(service, subsets, { routes: config.routes, endpoints }),
    workloads: service.workloads.map(({ container, version }) => ({ containerId: container.id, version })),
    openPorts: openPortsOf(service),
  };
}

/** A mesh of more names than its subnet has addresses still works by HTTP host; names then mean containers. */
function checkAddresses({ world, addresses }: CompileInput, catalog: Catalog, problems: Problems): void {
  if (world.mesh === null) return;
  for (const name of addressNamesOf(catalog)) {
    if (addresses.has(name)) continue;
    const origin = catalog.services.get(name)?.spec?.origin ?? { file: world.mesh.name, line: 0, column: 0 };
    const message = `no virtual address is left for ${name} in ${world.mesh.subnet}`;
    problems.add("warning", "noAddressLeft", origin, { message, hint: "use a larger subnet for the mesh's network" });
  }
}
