// What has to be done so that Docker runs what is wanted. PURE: from World and Desired to actions, none when all is well.
import { type DesiredGateway, type DesiredSidecar, gatewayOptions, hashOptions, sidecarOptions } from "./own-spec.ts";
import type { Attachment, Container, MeshNetwork, OwnContainer, World } from "./world.ts";

export interface Desired {
  /** The proxy's image, by its tag. */
  readonly image: string;
  /** Every running (or paused) container that is to be meshed. Computed from the same World that is planned with. */
  readonly sidecars: readonly DesiredSidecar[];
  readonly gateways: readonly DesiredGateway[];
  /** What `hostsKey` says of containers whose /etc/hosts is clean already. */
  readonly hostsCleaned: ReadonlySet<string>;
  /** Own ids of proxies that are to be replaced now. One of another version is kept as long as it runs and is not among them. */
  readonly replaced: ReadonlySet<string>;
}

/** Actions with one key run one after the other, and a failed one ends its key's turn; keys run side by side. */
export type Action = { readonly key: string } & (
  | { readonly kind: "ensure-network" }
  | { readonly kind: "connect"; readonly containerId: string; readonly networkId: string }
  | { readonly kind: "disconnect"; readonly containerId: string; readonly networkId: string }
  /** `connects`: the container joins the mesh's network meanwhile. */
  | {
      readonly kind: "create-sidecar";
      readonly sidecar: DesiredSidecar;
      readonly mesh: MeshNetwork;
      readonly connects: boolean;
    }
  | { readonly kind: "create-gateway"; readonly gateway: DesiredGateway; readonly mesh: MeshNetwork }
  | { readonly kind: "start-own"; readonly ownId: string }
  /** `graceMs`: what its connections get to finish. */
  | { readonly kind: "remove-own"; readonly ownId: string; readonly graceMs: number; readonly reason: string }
  | { readonly kind: "remove-rules"; readonly containerId: string }
  | {
      readonly kind: "clean-hosts";
      readonly containerId: string;
      readonly address: string;
      readonly hostsKey: string;
    }
);

/** What a replaced proxy gets to finish its connections. */
export const drainMs = 5000;
/** A proxy whose application has ended tells callers which of their requests it never passed on: those can go elsewhere. */
export const lastWordsMs = 200;

/** Names one container's start with one mesh address: Docker writes the line anew for each. */
export function hostsKey(containerId: string, startedAt: string, address: string): string {
  return `${containerId}@${startedAt}@${address}`;
}

/** `world` and `desired` must be of one moment: a running container that is not desired is taken out of the mesh. */
export function planActions({ world, desired }: { world: World; desired: Desired }): Action[] {
  const needsNetwork = world.mesh === null && (desired.sidecars.length > 0 || desired.gateways.length > 0);
  return [
    ...(needsNetwork ? [{ kind: "ensure-network", key: "network" } as const] : []),
    ...world.own.flatMap((own) => removeOrphan(own, world, desired)),
    ...desired.sidecars.flatMap((sidecar) => attach(sidecar, world, desired)),
    ...desired.gateways.flatMap((gateway) => openGateway(gateway, world, desired)),
    ...world.containers.flatMap((container) => detach(container, world, desired)),
    // Last: it costs a container each, and nothing waits for it.
    ...desired.sidecars.flatMap((sidecar) => cleanHosts(sidecar, world, desired)),
  ];
}

function attach(sidecar: DesiredSidecar, world: World, desired: Desired): Action[] {
  const { mesh } = world;
  const container = world.containers.find(({ id }) => id === sidecar.containerId);
  if (mesh === null || container === undefined || !isUp(container.state)) return [];
  const key = sidecar.containerId;
  const candidates = world.own.filter((own) => own.kind === "sidecar" && own.owner === key);
  const kept = candidates.find((own) => whyReplaceSidecar(own, sidecar, mesh, desired) === null);
  const actions: Action[] = candidates
    .filter((own) => own !== kept)
    .map((own) => {
      const reason = whyReplaceSidecar(own, sidecar, mesh, desired) ?? "there are two";
      return removeOwn(own, key, reason, reason === reasonImage || reason === reasonOptions ? drainMs : 0);
    });
  const connects = meshAttachment(container, mesh) === undefined;
  if (kept === undefined) return [...actions, { kind: "create-sidecar", key, sidecar, mesh, connects }];
  if (connects) actions.push({ kind: "connect", key, containerId: key, networkId: mesh.id });
  if (kept.state !== "running") actions.push({ kind: "start-own", key, ownId: kept.id });
  return actions;
}

const reasonImage = "it is of another version";
const reasonOptions = "its options changed";

function whyReplaceSidecar(
  own: OwnContainer,
  sidecar: DesiredSidecar,
  mesh: MeshNetwork,
  desired: Desired,
): string | null {
  // A restarted container has a new namespace, and its sidecar sits in the dead one. It is made anew rather than
  // restarted, because the label then says for certain which namespace it is in.
  if (own.ownerStartedAt !== sidecar.startedAt) return "its container was restarted";
  if (own.optionsHash !== hashOptions(sidecarOptions(sidecar, mesh))) return reasonOptions;
  return whyReplace(own, desired);
}

function whyReplace(own: OwnContainer, desired: Desired): string | null {
  if (desired.replaced.has(own.id)) return reasonImage;
  if (own.image !== desired.image && own.state !== "running") return reasonImage;
  if (own.state === "dead" || own.state === "removing" || own.state === "paused") return `it is ${own.state}`;
  return null;
}

function openGateway(gateway: DesiredGateway, world: World, desired: Desired): Action[] {
  const { mesh } = world;
  if (mesh === null) return [];
  const { key } = gateway;
  const options = hashOptions(gatewayOptions(gateway, mesh));
  const why = (own: OwnContainer) => (own.optionsHash === options ? whyReplace(own, desired) : reasonOptions);
  const candidates = world.own.filter((own) => own.kind === "gateway" && own.owner === key);
  const kept = candidates.find((own) => why(own) === null);
  const actions: Action[] = candidates
    .filter((own) => own !== kept)
    .map((own) => removeOwn(own, key, why(own) ?? "there are two", drainMs));
  if (kept === undefined) actions.push({ kind: "create-gateway", key, gateway, mesh });
  else if (kept.state !== "running") actions.push({ kind: "start-own", key, ownId: kept.id });
  return actions;
}

/** One-shots that were left over, gateways that nobody wants, sidecars whose container stopped or is gone. */
function removeOrphan(own: OwnContainer, world: World, desired: Desired): Action[] {
  const key = own.owner || own.id;
  switch (own.kind) {
    case "one-shot":
      return [removeOwn(own, key, "it is left over", 0)];
    case "gateway": {
      const isWanted = desired.gateways.some((gateway) => gateway.key === own.owner);
      return isWanted ? [] : [removeOwn(own, key, "no listener wants it", drainMs)];
    }
    case "sidecar": {
      const owner = world.containers.find(({ id }) => id === own.owner);
      if (owner === undefined) return [removeOwn(own, key, "its container is gone", 0)];
      return isUp(owner.state) ? [] : [removeOwn(own, key, "its container stopped", lastWordsMs)];
    }
  }
}

/** A container that keeps running without the mesh: its rules first, then what enforced them, then the network. */
function detach(container: Container, world: World, desired: Desired): Action[] {
  const { id: key } = container;
  if (!isUp(container.state) || desired.sidecars.some((sidecar) => sidecar.containerId === key)) return [];
  const sidecars = world.own.filter((own) => own.kind === "sidecar" && own.owner === key);
  const attachment = world.mesh === null ? undefined : meshAttachment(container, world.mesh);
  if (sidecars.length === 0 && attachment === undefined) return [];
  return [
    { kind: "remove-rules", key, containerId: key },
    ...sidecars.map((own) => removeOwn(own, key, "its container left the mesh", drainMs)),
    ...(attachment ? [{ kind: "disconnect", key, containerId: key, networkId: attachment.networkId } as const] : []),
  ];
}

function cleanHosts(sidecar: DesiredSidecar, world: World, desired: Desired): Action[] {
  const { containerId: key, startedAt } = sidecar;
  const container = world.containers.find(({ id }) => id === key);
  const isAttached = world.own.some(
    (own) => own.kind === "sidecar" && own.owner === key && own.ownerStartedAt === startedAt && own.state === "running",
  );
  const address = container && world.mesh ? (meshAttachment(container, world.mesh)?.address ?? "") : "";
  const done = hostsKey(key, startedAt, address);
  if (!isAttached || address === "" || desired.hostsCleaned.has(done)) return [];
  return [{ kind: "clean-hosts", key, containerId: key, address, hostsKey: done }];
}

function removeOwn(own: OwnContainer, key: string, reason: string, graceMs: number): Action {
  return { kind: "remove-own", key, ownId: own.id, graceMs: own.state === "running" ? graceMs : 0, reason };
}

function meshAttachment(container: Container, mesh: MeshNetwork): Attachment | undefined {
  return container.networks.find((attachment) => attachment.networkId === mesh.id);
}

/** Has a network namespace. */
function isUp(state: Container["state"]): boolean {
  return state === "running" || state === "paused";
}
