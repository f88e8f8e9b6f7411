// Which containers belong to the mesh, and which of those get no sidecar.
import type { Container, World } from "../docker/world.ts";
import type { ServiceSpec } from "../spec/spec.ts";

export const labelNames = {
  mesh: "devmesh.mesh",
  service: "devmesh.service",
  version: "devmesh.version",
  inject: "devmesh.inject",
  istioInject: "sidecar.istio.io/inject",
  composeProject: "com.docker.compose.project",
  composeService: "com.docker.compose.service",
} as const;

/**
 * By compose project, or by the label `devmesh.mesh`, which also takes a container of the project out of this mesh and
 * into another. All other labels count only on members, so that a stray container cannot claim a service's identity.
 */
export function isMember(container: Container, mesh: { project: string; meshName: string }): boolean {
  const label = container.labels[labelNames.mesh];
  if (label !== undefined) return label === mesh.meshName;
  return container.labels[labelNames.composeProject] === mesh.project;
}

/** What DNS, SPIFFE paths and SNI can all carry. */
const namePattern = /^[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?$/i;

export function isUsableName(name: string): boolean {
  return namePattern.test(name);
}

export interface Exclusion {
  readonly reason: string;
  readonly sharesWith: string | null;
  /** Somebody wrote that it stays out. */
  readonly isChosen: boolean;
}

/** Of the two labels that say whether a container gets a sidecar, the one that counts: ours where both are there. */
export function injectLabelOf({ labels }: Container): string {
  const { inject, istioInject } = labelNames;
  return labels[inject] === undefined && labels[istioInject] !== undefined ? istioInject : inject;
}

/** Why a member gets no sidecar, or null. */
export function exclusionOf(container: Container, spec: ServiceSpec | null, world: World): Exclusion | null {
  const { networkMode } = container;
  const alone = (reason: string, isChosen = false): Exclusion => ({ reason, sharesWith: null, isChosen });
  if (spec?.isMeshed === false) return alone(`mesh: false for ${spec.name} in ${spec.origin.file}`, true);
  if (container.isOptedOut) return alone(`label ${injectLabelOf(container)}=false`, true);
  if (networkMode === "host") return alone("network_mode host: it has no network of its own to put a sidecar into");
  if (networkMode === "none") return alone("network_mode none: it has no network");
  if (networkMode.startsWith("container:")) {
    const key = networkMode.slice("container:".length);
    const owner = world.containers.find(({ id, name }) => id === key || name === key);
    const name = owner?.name ?? (/^[0-9a-f]{64}$/.test(key) ? `${key.slice(0, 12)}, which is gone` : key);
    const reason = `it shares the network of ${name}: its traffic is that one's`;
    return { reason, sharesWith: owner?.id ?? null, isChosen: false };
  }
  return null;
}
