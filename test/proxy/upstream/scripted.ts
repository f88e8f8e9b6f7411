// Endpoints whose connections are played by the test.
import type { EndpointConfig, InboundConfig, NodeConfig, ProxyConfig } from "../../../proxy/contract/config.ts";
import type { Failure } from "../../../proxy/http/failure.ts";
import { Splits, seededRandom } from "../../../proxy/route/split.ts";
import { buildTable, type Table } from "../../../proxy/route/table.ts";
import type { EndpointPlace, EndpointUpstreams } from "../../../proxy/upstream/endpoint.ts";
import { inboundConfig, serviceConfig } from "../../support/mesh-pair.ts";

export const endpointOf = (id: string, parts: Partial<EndpointConfig> = {}): EndpointConfig => ({
  id,
  startedAt: "2026-01-01T00:00:00Z",
  isBalanced: true,
  workload: `shop_payment_${id}`,
  version: "v1",
  subsets: ["v1"],
  address: `10.99.0.${id.charCodeAt(0)}`,
  aliases: [`172.20.0.${id.charCodeAt(0)}`],
  ...parts,
});

const node: NodeConfig = {
  kind: "sidecar",
  mesh: "shop",
  namespace: "shop",
  trustDomain: "cluster.local",
  service: "cart",
  version: null,
  workload: "shop_cart_1",
  identity: "spiffe://cluster.local/ns/shop/sa/cart",
  meshSubnet: "10.99.0.0/16",
  addresses: ["172.20.0.2", "10.99.0.2"],
  names: {},
};

export interface TableParts {
  readonly service?: Parameters<typeof serviceConfig>[2];
  readonly node?: Partial<NodeConfig>;
  readonly inbound?: Partial<InboundConfig> | null;
}

export function tableOf(endpoints: readonly EndpointConfig[], parts: TableParts = {}): Table {
  const networks = { gateways: [], subnets: ["172.20.0.0/16", "10.99.0.0/16"] };
  const config: ProxyConfig = {
    node: { ...node, ...parts.node },
    services: { payment: serviceConfig("payment", 8080, parts.service ?? {}) },
    endpoints: { payment: endpoints },
    inbound: parts.inbound === null ? null : inboundConfig([], 8080, { networks, ...parts.inbound }),
    listeners: {},
  };
  return buildTable(config, new Splits(seededRandom(1)));
}

export interface Opened extends EndpointUpstreams {
  readonly place: EndpointPlace;
  drains: number;
  readonly closed: Failure[];
  /** What its requests do when they are cut. */
  onCut: () => void;
}

/** Everything that was opened, in order. */
export function opener(): { readonly all: Opened[]; readonly open: (place: EndpointPlace) => Opened } {
  const all: Opened[] = [];
  const open = (place: EndpointPlace): Opened => {
    const opened: Opened = {
      place,
      drains: 0,
      closed: [],
      onCut: () => undefined,
      upstream: () => ({ open: () => nothing() }),
      drain: () => {
        opened.drains++;
      },
      close: (gone) => {
        opened.closed.push(gone);
        opened.onCut();
      },
    };
    all.push(opened);
    return opened;
  };
  return { all, open };
}

function nothing(): never {
  throw new Error("no request is sent in these tests");
}
