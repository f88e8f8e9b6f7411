// What the user wrote, free of how: the native language and Istio's documents both end here.
// Names are as written; nothing here was checked against what runs (compile does that with the World).

import type { CaptureOptions } from "../../proxy/contract/capture-options.ts";
import type { MtlsMode, Protocol, RetryConfig, RouteMatch } from "../../proxy/contract/config.ts";
import type { Diagnostic } from "./diagnostic.ts";

export interface Spec {
  /** Name of the mesh; null: the compose project's. */
  readonly name: string | null;
  /** Compose files relative to mesh.yaml's folder; null: compose's usual ones. */
  readonly compose: readonly string[] | null;
  readonly mtls: MtlsMode;
  readonly trustDomain: string;
  /** Pause a starting container until its sidecar is ready. */
  readonly hold: boolean;
  /** Lifetime of a workload's certificate. */
  readonly certificateLifetimeMs: number;
  /** host:port of a Prometheus endpoint on the host, or null. */
  readonly metricsListen: { readonly host: string; readonly port: number } | null;
  readonly services: readonly ServiceSpec[];
  readonly gateways: readonly GatewaySpec[];
  /** Istio's documents, in file order; they act on services by host. */
  readonly virtualServices: readonly VirtualServiceSpec[];
  readonly destinationRules: readonly DestinationRuleSpec[];
}

/** Where a piece of the Spec was written, for diagnostics that only the World brings to light. */
export interface Origin {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface ServiceSpec {
  readonly name: string;
  readonly origin: Origin;
  /** False: `mesh: false`, containers of this service are left alone. */
  readonly isMeshed: boolean;
  /** Empty: found from the image's exposed ports and compose's `expose`. The first HTTP port also answers on 80. */
  readonly ports: readonly PortSpec[];
  /** Empty: one version, the compose service of the same name. */
  readonly versions: readonly VersionSpec[];
  /** Null: every endpoint alike, or by number of replicas where there are versions. */
  readonly split: readonly { readonly version: string; readonly weight: number }[] | null;
  readonly routes: readonly RouteSpec[];
  readonly timeoutMs: number;
  readonly retry: RetryConfig;
  readonly allow: readonly AllowSpec[] | null;
  readonly mtls: MtlsMode | null;
  readonly waitForEndpointsMs: number;
  /** Null: nothing was said, and everything is captured. */
  readonly capture: CaptureSpec | null;
}

/** Labels of a container come before it, member by member. */
export interface CaptureSpec extends CaptureOptions {
  readonly origin: Origin;
}

export interface PortSpec {
  readonly number: number;
  readonly protocol: Protocol;
}

export interface VersionSpec {
  readonly name: string;
  readonly origin: Origin;
  /** Compose service; null: `<service>-<version>` where that exists, else `<service>`. */
  readonly container: string | null;
}

export interface RouteSpec {
  readonly origin: Origin;
  readonly name: string;
  readonly match: readonly MatchSpec[];
  /** Versions of the same service, or of another one, with weights. */
  readonly to: readonly { readonly service: string; readonly version: string | null; readonly weight: number }[];
  /** Null: the service's. */
  readonly timeoutMs: number | null;
  readonly retry: RetryConfig | null;
}

/** AND of its members: what the proxy matches is what the user wrote. */
export type MatchSpec = RouteMatch;

export interface AllowSpec {
  readonly origin: Origin;
  /** Service names, "outside", "gateway", or "*". */
  readonly from: readonly string[];
  readonly methods: readonly string[];
  readonly paths: readonly string[];
}

export interface GatewaySpec {
  readonly origin: Origin;
  /** Address on the host: 127.0.0.1 unless written otherwise. */
  readonly host: string;
  readonly port: number;
  readonly to: string;
  /** Port of the service, or null for its HTTP port. */
  readonly toPort: number | null;
  readonly protocol: Protocol;
  /** Host names it serves; empty: all. */
  readonly hosts: readonly string[];
}

/** Istio's VirtualService as far as it is supported; hosts are short names or FQDNs as written. */
export interface VirtualServiceSpec {
  readonly origin: Origin;
  readonly name: string;
  readonly namespace: string | null;
  readonly hosts: readonly { readonly host: string; readonly origin: Origin }[];
  readonly http: readonly VirtualServiceRouteSpec[];
}

export interface VirtualServiceRouteSpec {
  readonly origin: Origin;
  readonly name: string;
  readonly match: readonly MatchSpec[];
  readonly route: readonly {
    readonly origin: Origin;
    readonly host: string;
    readonly subset: string | null;
    readonly port: number | null;
    readonly weight: number;
  }[];
  readonly timeoutMs: number;
  readonly retry: RetryConfig | null;
}

export interface DestinationRuleSpec {
  readonly origin: Origin;
  readonly name: string;
  readonly namespace: string | null;
  readonly host: string;
  readonly subsets: readonly {
    readonly origin: Origin;
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  }[];
}

/** The result of reading a file: either a Spec (perhaps with warnings), or errors and no Spec. */
export type LoadedSpec =
  | { readonly kind: "ok"; readonly spec: Spec; readonly warnings: readonly Diagnostic[]; readonly file: string | null }
  | { readonly kind: "invalid"; readonly diagnostics: readonly Diagnostic[]; readonly file: string };
