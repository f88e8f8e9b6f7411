// A service as every proxy that may reach it is told: one object for all of them.
import type { ServiceConfig } from "../../proxy/contract/config.ts";
import { identityOf } from "./identity.ts";
import { mtlsOf } from "./inbound.ts";
import type { CompileInput, Service } from "./model.ts";
import { fqdnOf, type ServiceNames } from "./names.ts";
import { compareText } from "./problems.ts";
import { type RouteContext, routesOf, splitOf } from "./routes.ts";
import type { Subsets } from "./subsets.ts";

export interface ServiceContext extends RouteContext {
  readonly input: CompileInput;
}

export function serviceConfigOf(
  service: Service,
  { names, subsets }: { names: ServiceNames; subsets: Subsets },
  context: ServiceContext,
): ServiceConfig {
  const { spec, meshName, addresses } = context.input;
  const { name } = service;
  // Nothing answers UDP at a virtual address, so such names are answered with containers' addresses (see node.ts).
  const addressOf = (one: string) => (service.exposesUdp ? "" : (addresses.get(one) ?? ""));
  return {
    name,
    namespace: meshName,
    fqdn: fqdnOf(name, meshName),
    hosts: names.hosts,
    address: addressOf(name),
    identity: identityOf({ trustDomain: spec.trustDomain, namespace: meshName }, name),
    mtls: mtlsOf(service, spec),
    ports: service.ports,
    subsets: [...subsets.names].sort(compareText),
    versionHosts: names.versions.map(({ version, hosts, addressName }) => ({
      version,
      hosts,
      address: addressOf(addressName),
    })),
    routes: routesOf(service, context),
    tcp: splitOf(service),
    waitForEndpointsMs: service.spec?.waitForEndpointsMs ?? 0,
  };
}
