// What one proxy is told: plain data, complete, and independent of how the user wrote it.
// The daemon compiles it, the proxy builds its tables from it; nothing else crosses from one to the other.

/** Major: an older proxy cannot be adopted. Minor: it can. */
export const CONTRACT = { major: 1, minor: 1 } as const;

/** Everything one proxy knows. On the wire it is a flat map of resources (see diff.ts). */
export interface ProxyConfig {
  readonly node: NodeConfig;
  /** By service name. Only services that this proxy may reach. */
  readonly services: Readonly<Record<string, ServiceConfig>>;
  /** By service name: apart from `services`, because container events change these and nothing else. */
  readonly endpoints: Readonly<Record<string, readonly EndpointConfig[]>>;
  /** What comes in from other proxies and from outside. Null on a gateway. */
  readonly inbound: InboundConfig | null;
  /** Gateway listeners, by container port. Empty on a sidecar. */
  readonly listeners: Readonly<Record<string, ListenerConfig>>;
}

export interface NodeConfig {
  readonly kind: "sidecar" | "gateway";
  readonly mesh: string;
  readonly namespace: string;
  readonly trustDomain: string;
  /** Mesh service of this workload; "gateway" on a gateway. */
  readonly service: string;
  /** Version (Istio's subset) of this workload, or null. */
  readonly version: string | null;
  /** The container's name, for logs and metrics. */
  readonly workload: string;
  /** spiffe://<trust domain>/ns/<namespace>/sa/<service>; the certificate must carry exactly this. */
  readonly identity: string;
  /** CIDR of the mesh's shared network. */
  readonly meshSubnet: string;
  /** The container's own addresses: those on its project's networks first, its mesh address last. */
  readonly addresses: readonly string[];
  /** Names answered by the sidecar's resolver beside those in `services`: container names to addresses. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  /** Since 1.1: the host, where something of the mesh is published on it. */
  readonly host?: HostConfig | undefined;
}

/** What applications reach by way of the host: a call there becomes one to the service. */
export interface HostConfig {
  /** Where the host is found: its own addresses, and the gateways of Docker's bridges. */
  readonly addresses: readonly string[];
  readonly ports: readonly {
    /** Of the host; 0.0.0.0 and :: are all of one family. */
    readonly address: string;
    readonly port: number;
    readonly service: string;
    /** Set where the container is one version under a name of its own. */
    readonly version: string | null;
    /** The container's port. */
    readonly servicePort: number;
  }[];
}

export type MtlsMode = "strict" | "permissive" | "disable";
/** `auto` is sniffed: HTTP/1 when the first bytes say so, else TCP. */
export type Protocol = "http" | "tcp" | "auto";

export interface PortConfig {
  /** The port the application listens on. */
  readonly number: number;
  readonly protocol: Protocol;
  /** Other ports at the virtual address that mean this one (80 for the service's HTTP port). */
  readonly aliases: readonly number[];
}

export interface ServiceConfig {
  readonly name: string;
  readonly namespace: string;
  /** <name>.<namespace>.svc.cluster.local */
  readonly fqdn: string;
  /**
   * Every name (lower case) that means this service: in DNS and as an HTTP host. The fqdn is one of them. None: this proxy reaches
   * the service at ports of the host and in no other way.
   */
  readonly hosts: readonly string[];
  /** Stable virtual address (IPv4) in the upper half of the mesh's subnet. */
  readonly address: string;
  /** Identity that a server of this service must prove. */
  readonly identity: string;
  /** What it takes. With `disable` callers that share a network with it speak plaintext to it. */
  readonly mtls: MtlsMode;
  readonly ports: readonly PortConfig[];
  /** Names that a destination may use, whether or not a container belongs to them now. */
  readonly subsets: readonly string[];
  /** Names and virtual addresses that mean one version only: compose services such as `payment-v2`. */
  readonly versionHosts: readonly {
    readonly version: string;
    readonly hosts: readonly string[];
    readonly address: string;
  }[];
  /** HTTP routes, first match wins. What matches none (possible with a VirtualService) gets 404 NR. */
  readonly routes: readonly RouteConfig[];
  /** Where TCP connections go, by connection. */
  readonly tcp: readonly DestinationConfig[];
  /** How long a request waits for a first endpoint before it fails with UH; 0 fails at once. */
  readonly waitForEndpointsMs: number;
}

export interface RouteConfig {
  readonly name: string;
  /** OR of the members; empty matches everything. */
  readonly match: readonly RouteMatch[];
  readonly destinations: readonly DestinationConfig[];
  /** Whole-request deadline, retries included; 0 is none. */
  readonly timeoutMs: number;
  readonly retry: RetryConfig;
}

/** AND of its members. */
export interface RouteMatch {
  readonly path?: StringMatch;
  readonly ignoreUriCase?: boolean;
  readonly method?: StringMatch;
  readonly authority?: StringMatch;
  /** Names in lower case. */
  readonly headers?: Readonly<Record<string, StringMatch>>;
  readonly withoutHeaders?: Readonly<Record<string, StringMatch>>;
  readonly query?: Readonly<Record<string, StringMatch>>;
  readonly port?: number;
}

/** `regex` is RE2 syntax and must match the whole value. */
export type StringMatch =
  | { readonly kind: "exact"; readonly value: string }
  | { readonly kind: "prefix"; readonly value: string }
  | { readonly kind: "regex"; readonly value: string }
  | { readonly kind: "present" };

export interface DestinationConfig {
  readonly service: string;
  readonly subset: string | null;
  /** Null: the port that the request came in on. */
  readonly port: number | null;
  /** Relative, 0 is never chosen; a single destination gets everything unless its weight is 0. */
  readonly weight: number;
}

/** Istio's names. `refused-stream` covers every case in which the peer says that it processed nothing. */
export type RetryOn =
  | "connect-failure"
  | "refused-stream"
  | "reset"
  | "gateway-error"
  | "5xx"
  | "retriable-status-codes";

export interface RetryConfig {
  /** Beyond the first try; 0 is none. */
  readonly attempts: number;
  /** 0 is none. */
  readonly perTryTimeoutMs: number;
  readonly on: readonly RetryOn[];
  readonly statusCodes: readonly number[];
}

/** A container of a service that is there. One that has left the list is gone: what is under way to it fails at once. */
export interface EndpointConfig {
  /** The container's id: what health, pools and counters are keyed by. */
  readonly id: string;
  /** Opaque; changes when the container was started anew, often at the address that it had: connections of before lead nowhere. */
  readonly startedAt: string;
  /** False: it takes nothing new by load balancing (not ready, unhealthy, paused), and finishes what it has. */
  readonly isBalanced: boolean;
  readonly workload: string;
  readonly version: string | null;
  /** Names of the subsets that this endpoint belongs to. */
  readonly subsets: readonly string[];
  /** Its address on the mesh's network. */
  readonly address: string;
  /** Other addresses that mean this container when an application dials them. */
  readonly aliases: readonly string[];
}

export interface InboundConfig {
  readonly mtls: MtlsMode;
  /** What the application's ports speak; a port that is not listed is `auto`. */
  readonly ports: readonly PortConfig[];
  /** Container ports that compose publishes on the host: plaintext from `outside` may come to these. */
  readonly publishedPorts: readonly number[];
  /** A plaintext peer is `outside` when it is one of `gateways` or in none of `subnets`. */
  readonly networks: { readonly gateways: readonly string[]; readonly subnets: readonly string[] };
  /** Identities that share a network with this service (or that an allow rule names); others are refused. */
  readonly callers: readonly string[];
  /** Since 1.1. Identities that share no network with it, and reach these container ports since the host publishes them. */
  readonly viaHost?: { readonly ports: readonly number[]; readonly callers: readonly string[] } | undefined;
  /** Null: open to every caller. Empty: nobody. */
  readonly allow: readonly AllowConfig[] | null;
}

export interface AllowConfig {
  /** SPIFFE identities, or "outside"; "*" is anybody. */
  readonly from: readonly string[];
  /** Empty: any. A rule with methods or paths never matches a TCP connection. */
  readonly methods: readonly string[];
  /** Istio's forms: exact, `prefix*`, `*suffix`, `*`. Empty: any. Query strings are not part of a path. */
  readonly paths: readonly string[];
}

export interface ListenerConfig {
  readonly port: number;
  readonly protocol: Protocol;
  /** First match wins. */
  readonly hosts: readonly { readonly host: string; readonly service: string; readonly port: number }[];
}
