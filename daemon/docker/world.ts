// What Docker runs now, copied into our own small types at the edge: nothing above this folder knows Docker's JSON.

export interface World {
  /** Containers of the mesh's project, and labelled ones: running, paused, stopped. Our own are not among them. */
  readonly containers: readonly Container[];
  /** Sidecars, gateways and one-shots of this mesh, by our labels. */
  readonly own: readonly OwnContainer[];
  /** The shared network, or null before it exists. */
  readonly mesh: MeshNetwork | null;
  /** At which containers find the host; sorted. */
  readonly hostAddresses: readonly string[];
}

export type ContainerState = "created" | "running" | "paused" | "restarting" | "exited" | "dead" | "removing";

export interface Container {
  readonly id: string;
  /** Without the leading slash. */
  readonly name: string;
  readonly image: string;
  /** The label `devmesh.service`, else the compose service. */
  readonly service: string;
  /** Label `devmesh.version`, else `version`, else null. */
  readonly version: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly number: number;
  /** `compose run`: gets an identity, is never an endpoint. */
  readonly isOneOff: boolean;
  readonly state: ContainerState;
  /** RFC 3339 text of Docker: a changed value means a new network namespace. */
  readonly startedAt: string;
  readonly networks: readonly Attachment[];
  /** "bridge", "host", "none", "container:<id>", or a network's name. */
  readonly networkMode: string;
  /** TCP ports from the image and compose's `expose`. */
  readonly exposedTcp: readonly number[];
  readonly exposedUdp: readonly number[];
  readonly published: readonly { readonly containerPort: number; readonly hostIp: string; readonly hostPort: number }[];
  readonly hasHealthcheck: boolean;
  readonly health: "none" | "starting" | "healthy" | "unhealthy";
  /** It was told to stop and still runs: it finishes what it has. */
  readonly isStopping: boolean;
  /** Can undo the rules: privileged, or with NET_ADMIN. */
  readonly isPrivileged: boolean;
  /** `devmesh.inject: "false"`, or Istio's `sidecar.istio.io/inject: "false"`. */
  readonly isOptedOut: boolean;
}

export interface Attachment {
  readonly networkId: string;
  readonly network: string;
  /** "" while the container does not run. */
  readonly address: string;
  readonly gateway: string;
  readonly subnet: string;
  /** Null where the network has no IPv6. */
  readonly ipv6: Ipv6Attachment | null;
  readonly aliases: readonly string[];
  readonly isInternal: boolean;
}

export interface Ipv6Attachment {
  /** "" while the container does not run, as are the others where Docker does not tell. */
  readonly address: string;
  readonly gateway: string;
  readonly subnet: string;
}

export interface OwnContainer {
  readonly id: string;
  readonly name: string;
  readonly kind: "sidecar" | "gateway" | "one-shot";
  /** Sidecar: the application container's id, and its startedAt when this one joined. Gateway: its listener key. */
  readonly owner: string;
  readonly ownerStartedAt: string;
  readonly image: string;
  /** Hash of the options it was created with: it is replaced when they change. */
  readonly optionsHash: string;
  readonly state: ContainerState;
  readonly startedAt: string;
  /** Gateway: its address on the mesh's network. */
  readonly meshAddress: string;
}

export interface MeshNetwork {
  readonly id: string;
  /** `zz_devmesh_<mesh>`. */
  readonly name: string;
  readonly subnet: string;
  readonly gateway: string;
}
