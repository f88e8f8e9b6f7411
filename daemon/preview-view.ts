// What `up` would do, as data: from the compile and the actions of the World as it would be. Pure.
import { BlockList, isIPv6 } from "node:net";
import type { CaptureOptions } from "../proxy/contract/capture-options.ts";
import type {
  PlannedContainer,
  PlannedOpening,
  PlannedPort,
  PlannedService,
  PlannedUnmeshed,
  PlannedWorkload,
  PlanView,
} from "./api/plan-view.ts";
import { isCapturedInbound } from "./compile/capture.ts";
import type { Compiled, CompiledService } from "./compile/compile.ts";
import { protocolSourceOf } from "./compile/ports.ts";
import type { DesiredSidecar } from "./compile/sidecars.ts";
import type { OpenConnection } from "./docker/connections.ts";
import type { ImageFacts } from "./docker/image-facts.ts";
import type { Action } from "./docker/plan.ts";
import type { Container, World } from "./docker/world.ts";
import { chosenPort } from "./preview-world.ts";
import type { ComposeService } from "./spec/compose-config.ts";
import type { Spec } from "./spec/spec.ts";

export interface ViewInput {
  readonly spec: Spec;
  /** As it would be. */
  readonly world: World;
  readonly compiled: Compiled;
  readonly actions: readonly Action[];
  /** What compose would do; empty where it is not run. */
  readonly containers: readonly PlannedContainer[];
  /** By name; empty where compose's config is not known. */
  readonly composeServices: ReadonlyMap<string, ComposeService>;
  /** By a container's image. */
  readonly images: ReadonlyMap<string, ImageFacts | null>;
  /** By container id, for those that run now and are not in the mesh; null: not known. */
  readonly connections: ReadonlyMap<string, readonly OpenConnection[] | null>;
}

export function plannedServices(input: ViewInput): readonly PlannedService[] {
  const { compiled, world } = input;
  const containers = new Map(world.containers.map((container) => [container.id, container]));
  return compiled.services.flatMap((service) => {
    const workloads = service.workloads.flatMap(({ containerId }) => {
      const sidecar = compiled.sidecars.find((one) => one.containerId === containerId);
      const container = containers.get(containerId);
      return sidecar === undefined || container === undefined ? [] : [{ sidecar, container }];
    });
    if (workloads.length === 0) return [];
    const own = workloads.map(({ container }) => container);
    const { name, mtls } = service;
    const ports = service.ports.map((port): PlannedPort => {
      const spec = input.spec.services.find((one) => one.name === name) ?? null;
      const protocolSource = protocolSourceOf(port, spec, own);
      const isDeclared = spec?.ports.some(({ number }) => number === port.number) === true;
      return { ...port, source: isDeclared ? "mesh.yaml" : sourceOf(port.number, own, input), protocolSource };
    });
    return [{ name, mtls, ports, workloads: workloads.map((one) => workloadOf(service, one, input)) }];
  });
}

export function plannedUnmeshed({ compiled, actions }: ViewInput): readonly PlannedUnmeshed[] {
  return compiled.unmeshed.map(({ containerId, container, service, reason }) => {
    const leaves = actions.some((action) => action.kind === "remove-rules" && action.containerId === containerId);
    return { container, service, reason, leaves };
  });
}

/** Sidecars and gateways that go and are not made anew. */
export function plannedRemovals({ actions, world }: Pick<ViewInput, "actions" | "world">): PlanView["removed"] {
  const made = new Set(actions.filter(({ kind }) => kind.startsWith("create-")).map(({ key }) => key));
  return actions.flatMap((action) => {
    const own = action.kind === "remove-own" ? world.own.find(({ id }) => id === action.ownId) : undefined;
    if (action.kind !== "remove-own" || own === undefined || made.has(action.key) || own.kind === "one-shot") return [];
    return [{ name: own.name, reason: action.reason }];
  });
}

export function actionOn(actions: readonly Action[], key: string): "create" | "replace" | "start" | "keep" {
  const kinds = new Set(actions.filter((action) => action.key === key).map(({ kind }) => kind));
  if (kinds.has("create-sidecar") || kinds.has("create-gateway")) return kinds.has("remove-own") ? "replace" : "create";
  return kinds.has("start-own") ? "start" : "keep";
}

/** The image is asked first: most ports are its. */
function sourceOf(number: number, containers: readonly Container[], input: ViewInput): PlannedPort["source"] {
  const key = `${number}/tcp`;
  if (containers.some(({ image }) => input.images.get(image)?.exposed.includes(key) === true)) return "image";
  const composed = containers.map(({ labels }) =>
    input.composeServices.get(labels["com.docker.compose.service"] ?? ""),
  );
  if (composed.some((service) => service?.exposed.includes(key) === true)) return "expose";
  return containers.some(({ published }) => published.some((port) => port.containerPort === number))
    ? "ports"
    : "container";
}

interface Meshed {
  readonly sidecar: DesiredSidecar;
  readonly container: Container;
}

function workloadOf(service: CompiledService, meshed: Meshed, input: ViewInput): PlannedWorkload {
  const { sidecar, container } = meshed;
  const { actions, world } = input;
  const own = actions.filter(({ key }) => key === container.id);
  return {
    container: container.name,
    version: sidecar.version,
    networks: container.networks.filter(({ networkId }) => networkId !== world.mesh?.id).map(({ network }) => network),
    joinsMesh: own.some((action) => action.kind === "connect" || (action.kind === "create-sidecar" && action.connects)),
    sidecar: actionOn(actions, container.id),
    ...startOf(meshed, input),
    open: openingsOf(service, meshed, input),
    warning: sidecar.warning,
  };
}

function startOf(
  { sidecar, container }: Meshed,
  input: ViewInput,
): Pick<PlannedWorkload, "start" | "startReason" | "resets"> {
  const { actions, containers, connections } = input;
  const composed = containers.find((one) => one.container === container.name && one.action !== "keep");
  if (composed !== undefined) {
    return { start: sidecar.hold ? "held" : "guarded", startReason: sidecar.holdReason, resets: 0 };
  }
  const action = actionOn(actions, container.id);
  if (action === "keep") return { start: "attached", startReason: "", resets: 0 };
  const replaced = actions.find((one) => one.kind === "remove-own" && one.key === container.id);
  if (replaced?.kind === "remove-own") {
    const startReason = `its sidecar is replaced, since ${replaced.reason}; what it carries gets 5 s to finish`;
    return { start: "attached", startReason, resets: 0 };
  }
  const open = connections.get(container.id) ?? null;
  return {
    start: "running",
    startReason: "it runs already; what it has open is reset, and comes back through the mesh",
    resets: open === null ? null : open.filter((one) => isReset(one, container, sidecar.options)).length,
  };
}

/** The guard spares what is excluded. What comes in is told by the port: one that the container exposes. */
function isReset(connection: OpenConnection, container: Container, capture: CaptureOptions): boolean {
  const { localPort, remoteAddress, remotePort } = connection;
  if (capture.excludeInboundPorts?.includes(localPort)) return false;
  const isInbound = container.exposedTcp.includes(localPort);
  if (isInbound) return true;
  if (capture.excludeOutboundPorts?.includes(remotePort)) return false;
  return !blockListOf(capture.excludeOutboundCidrs ?? []).check(remoteAddress, isIPv6(remoteAddress) ? "ipv6" : "ipv4");
}

function blockListOf(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = "", bits] = cidr.split("/");
    const family = isIPv6(address) ? "ipv6" : "ipv4";
    list.addSubnet(address, Number(bits ?? (family === "ipv6" ? 128 : 32)), family);
  }
  return list;
}

function openingsOf(
  service: CompiledService,
  { sidecar, container }: Meshed,
  input: ViewInput,
): readonly PlannedOpening[] {
  const capture = sidecar.options;
  const published = container.published
    .filter(({ containerPort }) => service.openPorts.includes(containerPort))
    .map(({ containerPort, hostIp, hostPort }): PlannedOpening => {
      const host = hostPort === chosenPort ? null : `${hostIp.includes(":") ? `[${hostIp}]` : hostIp}:${hostPort}`;
      return isCapturedInbound(capture, containerPort)
        ? { kind: "published", what: `${containerPort}`, host, reason: "published: anybody on the host, as outside" }
        : { kind: "direct", what: `${containerPort}`, host, reason: "published and excluded: past the mesh" };
    });
  return [...published, ...udpOf(container, input), ...exclusionsOf(capture)];
}

function udpOf(container: Container, input: ViewInput): readonly PlannedOpening[] {
  const service = input.composeServices.get(container.labels["com.docker.compose.service"] ?? "");
  return container.exposedUdp.map((number) => {
    const at = service?.published.find(({ containerPort }) => containerPort === `${number}/udp`);
    const host = at === undefined || at.hostPort === null ? null : `${at.hostIp || "0.0.0.0"}:${at.hostPort}`;
    return { kind: "udp", what: `${number}/udp`, host, reason: "UDP is not captured" };
  });
}

function exclusionsOf(capture: CaptureOptions): readonly PlannedOpening[] {
  const of = (kind: PlannedOpening["kind"], what: string, reason: string): PlannedOpening => {
    return { kind, what, host: null, reason };
  };
  const only = capture.includeInboundPorts;
  const outbound = capture.includeOutboundCidrs;
  const kept = [...(outbound ?? []), ...(capture.includeOutboundPorts ?? []).map((port) => `port ${port}`)];
  const but = (list: readonly (string | number)[]) => (list.length === 0 ? "everything" : `all but ${list.join(", ")}`);
  return [
    ...(capture.excludeInboundPorts ?? []).map((port) => of("excluded-inbound", `${port}`, "reached past the mesh")),
    ...(only === undefined ? [] : [of("excluded-inbound", but(only), "reached past the mesh")]),
    ...(capture.excludeOutboundPorts ?? []).map((port) =>
      of("excluded-outbound", `port ${port}`, "called past the mesh"),
    ),
    ...(capture.excludeOutboundCidrs ?? []).map((cidr) => of("excluded-outbound", cidr, "called past the mesh")),
    ...(outbound === undefined ? [] : [of("excluded-outbound", but(kept), "called past the mesh")]),
  ];
}
