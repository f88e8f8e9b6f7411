// What devmesh asks Docker to create: sidecars, gateways, one-shots. Pure.
import { createHash } from "node:crypto";
import type { CaptureOptions } from "../../proxy/contract/capture-options.ts";
import { canonicalJson } from "../../proxy/contract/diff.ts";
import type { EngineFacts } from "./image.ts";
import { gatewayNetworkName, label, type MeshIdentity, type OwnKind, ownLabels } from "./labels.ts";
import type { MeshNetwork } from "./world.ts";

/** A gateway's user. It is also who owns the control socket; a sidecar becomes the same user, in a group that it draws. */
const proxyUser = "1337:1337";
/** Threads and exec'd bridges; Node runs some 12 threads. */
const pidsMax = 256;
/** Between SIGTERM and SIGKILL, when somebody else stops it. */
const stopTimeoutS = 10;
const controlTmpfs = { "/run/devmesh": "rw,noexec,nosuid,nodev,size=16m,mode=0755,uid=1337,gid=1337" };

export interface DesiredSidecar {
  /** The application container, and its start: the namespace to join. */
  readonly containerId: string;
  readonly startedAt: string;
  /** The application container's name. */
  readonly container: string;
  /** Further members of the proxy's DEVMESH_OPTIONS. */
  readonly options?: CaptureOptions;
}

export interface DesiredGateway {
  /** "gateway/127.0.0.1:8080" */
  readonly key: string;
  readonly host: string;
  readonly port: number;
  readonly containerPort: number;
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface OwnSpec {
  readonly name: string;
  readonly body: object;
}

export interface SpecContext {
  readonly identity: MeshIdentity;
  readonly image: string;
  readonly facts: EngineFacts;
}

/** JSON for the proxy's DEVMESH_OPTIONS; the mesh's addresses are needed before the first config is there. */
export function sidecarOptions(sidecar: DesiredSidecar, mesh: MeshNetwork): string {
  const { subnet: meshSubnet, gateway: meshGateway } = mesh;
  return canonicalJson({ ...sidecar.options, meshSubnet, meshGateway, workload: sidecar.container });
}

export function gatewayOptions(gateway: DesiredGateway, mesh: MeshNetwork): string {
  const { host, port, containerPort, key: workload } = gateway;
  const { subnet: meshSubnet, gateway: meshGateway } = mesh;
  return canonicalJson({ ...gateway.options, meshSubnet, meshGateway, workload, host, port, containerPort });
}

/** A container with another hash than its options have now is replaced. */
export function hashOptions(options: string): string {
  return createHash("sha256").update(options).digest("hex").slice(0, 16);
}

export function sidecarSpec(context: SpecContext, sidecar: DesiredSidecar, mesh: MeshNetwork): OwnSpec {
  const options = sidecarOptions(sidecar, mesh);
  const owner = { owner: sidecar.containerId, startedAt: sidecar.startedAt };
  return {
    name: `devmesh-${sidecar.container}`,
    body: {
      ...common(context, "sidecar", owner, options),
      // Root until the rules are written; the proxy then gives up uid and capabilities for good.
      User: "0:0",
      Cmd: ["sidecar"],
      HostConfig: {
        ...hardened(context),
        NetworkMode: `container:${sidecar.containerId}`,
        CapAdd: ["NET_ADMIN", "SETUID", "SETGID"],
        Tmpfs: controlTmpfs,
      },
    },
  };
}

/** Joins the bridge, which carries its published port; the mesh's network is connected before it starts. */
export function gatewaySpec(context: SpecContext, gateway: DesiredGateway, mesh: MeshNetwork): OwnSpec {
  const options = gatewayOptions(gateway, mesh);
  const port = `${gateway.containerPort}/tcp`;
  const { mesh: name } = context.identity;
  return {
    name: `devmesh-${name}-${gateway.key.replace(/[^\w.-]/g, "-")}`,
    body: {
      ...common(context, "gateway", { owner: gateway.key, startedAt: "" }, options),
      User: proxyUser,
      Cmd: ["gateway"],
      ExposedPorts: { [port]: {} },
      HostConfig: {
        ...hardened(context),
        NetworkMode: gatewayNetworkName(name),
        PortBindings: { [port]: [{ HostIp: gateway.host, HostPort: String(gateway.port) }] },
        Tmpfs: controlTmpfs,
      },
    },
  };
}

export type OneShot =
  | { readonly kind: "remove-rules"; readonly containerId: string }
  /** Takes the mesh address' line out of the application's /etc/hosts. */
  | { readonly kind: "clean-hosts"; readonly containerId: string; readonly address: string }
  /** Gives it lines back, latin1. */
  | { readonly kind: "add-hosts"; readonly containerId: string; readonly lines: string };

/** Runs in the application's namespace with nothing but what its one task needs. */
export function oneShotSpec(context: SpecContext, oneShot: OneShot): OwnSpec {
  const { containerId } = oneShot;
  const isRules = oneShot.kind === "remove-rules";
  return {
    name: `devmesh-${oneShot.kind}-${containerId.slice(0, 12)}`,
    body: {
      ...common(context, "one-shot", { owner: containerId, startedAt: "" }, "{}"),
      User: "0:0",
      Cmd: [oneShot.kind, ...argumentsOf(oneShot)],
      HostConfig: {
        ...hardened(context),
        NetworkMode: `container:${containerId}`,
        ...(isRules ? { CapAdd: ["NET_ADMIN"] } : {}),
        // Docker mounts /etc/hosts, shared with the application, read-only where the root is.
        ReadonlyRootfs: isRules,
      },
    },
  };
}

function argumentsOf(oneShot: OneShot): string[] {
  switch (oneShot.kind) {
    case "remove-rules":
      return [];
    case "clean-hosts":
      return [oneShot.address];
    case "add-hosts":
      return [Buffer.from(oneShot.lines, "latin1").toString("base64")];
  }
}

function common(
  context: SpecContext,
  kind: OwnKind,
  owner: { readonly owner: string; readonly startedAt: string },
  options: string,
): object {
  return {
    Image: context.image,
    Env: [`DEVMESH_OPTIONS=${options}`],
    StopTimeout: stopTimeoutS,
    // No label of compose's: it would take the container for an orphan of its own.
    Labels: {
      ...ownLabels(context.identity),
      [label.kind]: kind,
      [label.owner]: owner.owner,
      [label.ownerStartedAt]: owner.startedAt,
      [label.image]: context.image,
      [label.options]: hashOptions(options),
    },
  };
}

/**
 * No OomScoreAdj: an engine without CAP_SYS_RESOURCE (rootless, inside a container or a VM of CI) cannot lower it, and
 * its runc then fails to start the container with a message that names nothing (seen).
 * No init process: the proxy handles its signals, its children are reaped by Node, and an exec'd bridge is the child of
 * Docker's shim. No restart policy: Docker could start a sidecar before its application and leave it exited (moby #50326).
 */
function hardened({ facts }: SpecContext): object {
  return {
    CapDrop: ["ALL"],
    ReadonlyRootfs: true,
    SecurityOpt: ["no-new-privileges"],
    RestartPolicy: { Name: "no" },
    LogConfig: facts.logConfig,
    PidsLimit: pidsMax,
  };
}
