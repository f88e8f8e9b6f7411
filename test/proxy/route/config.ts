// Tables for the tests of routing, with everything defaulted that a test does not speak of.
import type { EndpointConfig, ProxyConfig, ServiceConfig } from "../../../proxy/contract/config.ts";
import { Splits, seededRandom } from "../../../proxy/route/split.ts";
import { buildTable, type Service, type Table } from "../../../proxy/route/table.ts";
import { inboundConfig, serviceConfig } from "../../support/mesh-pair.ts";
import { endpointOf } from "../upstream/scripted.ts";

export const node: ProxyConfig["node"] = {
  kind: "sidecar",
  mesh: "shop",
  namespace: "shop",
  trustDomain: "cluster.local",
  service: "website",
  version: "v7",
  workload: "shop_website_1",
  identity: "spiffe://cluster.local/ns/shop/sa/website",
  meshSubnet: "10.99.0.0/16",
  addresses: ["172.20.0.2", "10.99.0.2"],
  names: {},
};

export const payment = (parts: Partial<ServiceConfig> = {}): ServiceConfig =>
  serviceConfig("payment", 8080, {
    address: "10.99.200.1",
    subsets: ["v1", "v2"],
    versionHosts: [{ version: "v2", hosts: ["payment-v2"], address: "10.99.200.2" }],
    ...parts,
  });

export const cart = (parts: Partial<ServiceConfig> = {}): ServiceConfig =>
  serviceConfig("cart", 9090, { address: "10.99.200.3", ...parts });

export const v1: EndpointConfig = endpointOf("a");
export const v2: EndpointConfig = endpointOf("b", { version: "v2", subsets: ["v2"] });

export function configOf(
  services: readonly ServiceConfig[],
  endpoints: Readonly<Record<string, readonly EndpointConfig[]>> = { payment: [v1, v2] },
): ProxyConfig {
  return {
    node,
    services: Object.fromEntries(services.map((service) => [service.name, service])),
    endpoints,
    inbound: inboundConfig(["cart"], 8080, { networks: { gateways: [], subnets: ["172.20.0.0/16"] } }),
    listeners: {},
  };
}

export const newSplits = () => new Splits(seededRandom(1));

export const tableOf = (
  services: readonly ServiceConfig[] = [payment(), cart()],
  endpoints?: Readonly<Record<string, readonly EndpointConfig[]>>,
): Table => buildTable(configOf(services, endpoints), newSplits());

export function serviceIn(table: Table, name: string): Service {
  const service = table.services.get(name);
  if (service === undefined) throw new Error(`the table has no ${name}`);
  return service;
}
