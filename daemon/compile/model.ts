// What compile works on between its steps: the World's containers, each with the place in the mesh that the Spec gives it.
import type { CaptureOptions } from "../../proxy/contract/capture-options.ts";
import type { PortConfig } from "../../proxy/contract/config.ts";
import type { Attachment, Container, World } from "../docker/world.ts";
import type { ServiceSpec, Spec } from "../spec/spec.ts";

export interface CompileInput {
  readonly spec: Spec;
  readonly world: World;
  /** Compose project. */
  readonly project: string;
  /** Also the namespace. */
  readonly meshName: string;
  /** Application containers whose sidecar is ready and has the current config: only these are endpoints. */
  readonly readySidecars: ReadonlySet<string>;
  /** Virtual addresses by the names that `addressNames` lists. */
  readonly addresses: ReadonlyMap<string, string>;
  /** Services of the compose files; null: there are none, or they cannot be read. */
  readonly knownServices: readonly string[] | null;
  /** Services of the compose files that are jobs; none where they are not known. */
  readonly jobs?: ReadonlySet<string>;
}

/** A container that is in the mesh, whatever its state. */
export interface Workload {
  readonly container: Container;
  readonly service: string;
  readonly version: string | null;
  /** The container's labels, and Istio's implied `app` and `version`. */
  readonly labels: Readonly<Record<string, string>>;
  /** Ids of its networks without the mesh's own. */
  readonly networks: ReadonlySet<string>;
  /** "" when it has none. */
  readonly meshAddress: string;
  /** mesh.yaml's, and what its own labels say instead. */
  readonly capture: CaptureOptions;
}

export interface Unmeshed {
  readonly containerId: string;
  readonly container: string;
  readonly service: string;
  readonly reason: string;
  /** Id of the container whose network namespace, and so whose sidecar, it shares. */
  readonly sharesWith: string | null;
  /** Somebody wrote that it stays out. */
  readonly isChosen: boolean;
}

export interface ServiceVersion {
  readonly name: string;
  /** Compose service that is this version. */
  readonly composeService: string;
}

export interface Service {
  readonly name: string;
  /** Null: nobody wrote about it, it was found. */
  readonly spec: ServiceSpec | null;
  readonly versions: readonly ServiceVersion[];
  /** Running, stopped and one-off ones. */
  readonly workloads: readonly Workload[];
  readonly ports: readonly PortConfig[];
  readonly exposesUdp: boolean;
  /** Ids of the networks on which one of its containers can be reached (one-offs cannot). */
  readonly networks: ReadonlySet<string>;
}

/** Everything of the mesh by name; the same for every proxy. */
export interface Catalog {
  readonly services: ReadonlyMap<string, Service>;
  readonly workloads: readonly Workload[];
  readonly unmeshed: readonly Unmeshed[];
  /** Compose service to what it is in the mesh, where that is a version of another service. */
  readonly versionOf: ReadonlyMap<string, { readonly service: string; readonly version: string }>;
  /** Names that exist but whose containers all stay out of the mesh. */
  readonly outsideNames: ReadonlySet<string>;
}

/** The addresses that a container has on one of its networks, IPv4 first; none while it does not run. */
export function addressesOf({ address, ipv6 }: Attachment): readonly string[] {
  return [address, ipv6?.address ?? ""].filter((text) => text !== "");
}

/** True for containers whose network namespace exists. */
export function isAlive(container: Container): boolean {
  return container.state === "running" || container.state === "paused";
}
