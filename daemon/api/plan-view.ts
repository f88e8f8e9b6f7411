// What `up --plan` says, and what it is asked with. JSON, stable, additive: docs/plan.md explains each field.
import type { Diagnostic } from "../spec/diagnostic.ts";
import type { DaemonOptions } from "./options.ts";

export interface PlanRequest {
  readonly options: DaemonOptions;
  /** Null: compose is not asked to start anything. */
  readonly compose: ComposeIntent | null;
  /** `--renew`: proxies of another version are replaced. */
  readonly renews: boolean;
}

/** What `compose up -d` would be told, and what compose says of its files. */
export interface ComposeIntent {
  /** "docker compose", "docker-compose" */
  readonly command: string;
  /** Between the parts of a container's name: "_" in version 1, "-" in version 2. */
  readonly separator: "_" | "-";
  /** What `config` prints. */
  readonly config: string;
  /** What `config --hash '*'` prints, by service; a container of another hash is recreated. */
  readonly hashes: Readonly<Record<string, string>>;
  /** Services that are named; empty: all. */
  readonly services: readonly string[];
  readonly scale: Readonly<Record<string, number>>;
  readonly profiles: readonly string[];
  readonly recreates: "changed" | "always" | "never";
  readonly builds: boolean;
  readonly hasDependencies: boolean;
  readonly removesOrphans: boolean;
  /** Arguments that the plan does not understand. */
  readonly unread: readonly string[];
}

export interface PlanView {
  readonly mesh: string;
  readonly project: string;
  /** mesh.yaml, or null. */
  readonly file: string | null;
  /** Whether the mesh is up already. */
  readonly isUp: boolean;
  /** What `compose up` would do; null: it is not run. */
  readonly compose: { readonly command: string; readonly containers: readonly PlannedContainer[] } | null;
  readonly network: { readonly name: string; readonly subnet: string; readonly action: "create" | "keep" };
  readonly services: readonly PlannedService[];
  readonly gateways: readonly PlannedGateway[];
  /** Containers that get no sidecar, and why. */
  readonly unmeshed: readonly PlannedUnmeshed[];
  /** Sidecars and gateways that would be removed. */
  readonly removed: readonly { readonly name: string; readonly reason: string }[];
  /** What would make `up` fail. */
  readonly problems: readonly { readonly code: string; readonly message: string; readonly hint: string }[];
  /** Warnings of mesh.yaml and labels. */
  readonly diagnostics: readonly Diagnostic[];
  /** What the plan could not know. */
  readonly notes: readonly string[];
}

export interface PlannedContainer {
  readonly service: string;
  readonly container: string;
  readonly action: "create" | "recreate" | "start" | "keep" | "remove";
  /** Why, where it is not plain; else "". */
  readonly reason: string;
}

export interface PlannedService {
  readonly name: string;
  readonly mtls: "strict" | "permissive" | "disable";
  readonly ports: readonly PlannedPort[];
  readonly workloads: readonly PlannedWorkload[];
}

export interface PlannedPort {
  readonly number: number;
  readonly protocol: "http" | "tcp" | "auto";
  /** Further numbers under which it answers. */
  readonly aliases: readonly number[];
  /** Who says that it is there. */
  readonly source: "mesh.yaml" | "image" | "expose" | "ports" | "container";
  /** Who says what it speaks; `sniffed`: the first bytes will. */
  readonly protocolSource: "mesh.yaml" | "image" | "well-known" | "sniffed";
}

export interface PlannedWorkload {
  readonly container: string;
  readonly version: string | null;
  /** Of the project; the mesh's own is not among them. */
  readonly networks: readonly string[];
  /** Whether it is connected to the mesh's network. */
  readonly joinsMesh: boolean;
  readonly sidecar: "create" | "replace" | "start" | "keep";
  /**
   * `held`: paused at its start until its sidecar is ready. `guarded`: not paused; what it opens before is reset. `running`: it
   * runs already, and connections that it has open are reset. `attached`: it is in the mesh already, nothing is reset.
   */
  readonly start: "held" | "guarded" | "running" | "attached";
  readonly startReason: string;
  /** Connections that it has open now and that would be reset; null: not known from here. */
  readonly resets: number | null;
  readonly open: readonly PlannedOpening[];
  /** What the user should know about it, or null. */
  readonly warning: string | null;
}

/** Something that stays reachable past the mesh, or through it without an identity. */
export interface PlannedOpening {
  /** `published`: as `outside`, through the mesh. `direct`: published, past the mesh. */
  readonly kind: "published" | "direct" | "udp" | "excluded-inbound" | "excluded-outbound";
  /** "8080", "53/udp", "all but 8080", "10.0.0.0/8" */
  readonly what: string;
  /** On the host: "127.0.0.1:8080"; null where there is none, or Docker chooses it. */
  readonly host: string | null;
  readonly reason: string;
}

export interface PlannedUnmeshed {
  readonly container: string;
  readonly service: string;
  readonly reason: string;
  /** Its container's sidecar goes, since it is in the mesh now. */
  readonly leaves: boolean;
}

export interface PlannedGateway {
  readonly listen: string;
  readonly to: string;
  readonly action: "create" | "replace" | "start" | "keep";
  /** Who has the port, or null when it is free or ours. */
  readonly busy: string | null;
}
