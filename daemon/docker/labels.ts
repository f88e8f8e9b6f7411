// The labels on everything that devmesh makes, and those that it reads. Nothing without ours is ever changed or removed.

export const label = {
  project: "dev.devmesh.project",
  mesh: "dev.devmesh.mesh",
  kind: "dev.devmesh.kind",
  /** Sidecar and one-shot: the application container's id. Gateway: its listener's key. */
  owner: "dev.devmesh.owner",
  ownerStartedAt: "dev.devmesh.owner-started-at",
  image: "dev.devmesh.image",
  options: "dev.devmesh.options",
  /** Hash of the state folder: tells whose daemon made it. */
  stateId: "dev.devmesh.state-id",
} as const;

export const userLabel = {
  mesh: "devmesh.mesh",
  service: "devmesh.service",
  version: "devmesh.version",
  inject: "devmesh.inject",
  /** Istio's word for the same; ours comes before it. */
  istioInject: "sidecar.istio.io/inject",
  /** What Istio's annotations about capture begin with. */
  istioTraffic: "traffic.sidecar.istio.io/",
} as const;

export const composeLabel = {
  project: "com.docker.compose.project",
  service: "com.docker.compose.service",
  number: "com.docker.compose.container-number",
  oneOff: "com.docker.compose.oneoff",
} as const;

export type OwnKind = "sidecar" | "gateway" | "one-shot";

/** Whose mesh this is. Two folders may use one name; the state id tells them apart. */
export interface MeshIdentity {
  readonly mesh: string;
  /** Compose project. */
  readonly project: string;
  readonly stateId: string;
}

export type Labels = Readonly<Record<string, string>>;

export function isOurs(labels: Labels, identity: MeshIdentity): boolean {
  return labels[label.mesh] === identity.mesh && labels[label.stateId] === identity.stateId;
}

/** Of this folder's project whatever the mesh was called when it was made: for `down`, which takes all of it away. */
export function isOfState(labels: Labels, { stateId }: MeshIdentity): boolean {
  return labels[label.stateId] === stateId;
}

/** By compose project or by `devmesh.mesh`; what devmesh itself made never belongs. */
export function belongsToMesh(labels: Labels, identity: MeshIdentity): boolean {
  if (labels[label.mesh] !== undefined) return false;
  const mesh = labels[userLabel.mesh];
  return mesh === undefined ? labels[composeLabel.project] === identity.project : mesh === identity.mesh;
}

export function ownLabels(identity: MeshIdentity): Labels {
  return { [label.project]: identity.project, [label.mesh]: identity.mesh, [label.stateId]: identity.stateId };
}

/**
 * Docker gives the default route, and at a restart eth0, to the network whose name comes first where all of a container's
 * networks are internal (measured): this one must come last.
 */
export function meshNetworkName(mesh: string): string {
  return `zz_devmesh_${mesh}`;
}

export function gatewayNetworkName(mesh: string): string {
  return `devmesh_${mesh}_gateway`;
}
