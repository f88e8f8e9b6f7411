// The one picture of the mesh, from what Docker, the fleet, the file and the traffic say. Pure.
import { type BypassView, outdatedReason, type ServiceView, type StatusView, type WorkloadView } from "./api/view.ts";
import type { BypassReading } from "./bypass-watch.ts";
import type { CompiledService } from "./compile/compile.ts";
import type { CompiledGateway } from "./compile/gateways.ts";
import type { Applied } from "./control-plane.ts";
import type { ActionFailure } from "./docker/attempts.ts";
import type { Container, World } from "./docker/world.ts";
import type { EventLog } from "./event-log.ts";
import type { ProxyStatus } from "./push/fleet.ts";
import type { Rates, Traffic } from "./telemetry/traffic.ts";

export interface StatusInput {
  readonly mesh: string;
  readonly project: string;
  readonly version: string;
  readonly pid: number;
  readonly startedAtMs: number;
  readonly file: string | null;
  readonly applied: Applied;
  readonly world: World;
  /** The machine that has the engine's ports, as it is named here; "" for this one. */
  readonly engineHost: string;
  /** False: Docker does not answer, and the World is the last that was seen. */
  readonly isConnected: boolean;
  readonly proxies: readonly ProxyStatus[];
  /** By application container's id, gateway's key, or "network". */
  readonly failures: ReadonlyMap<string, ActionFailure>;
  /** Ids of containers that are frozen until their sidecar is ready. */
  readonly held: ReadonlySet<string>;
  /** Wall clock. */
  readonly nowMs: number;
  readonly traffic: Traffic;
  /** The clock that `traffic` is fed with. */
  readonly now: number;
  readonly events: EventLog;
  readonly troubles: readonly string[];
  /** Of this version's proxies. */
  readonly image: string;
  readonly bypass: BypassReading;
}

export function buildStatus(input: StatusInput): StatusView {
  const { applied, traffic, now } = input;
  const { compiled } = applied;
  const services = compiled.services.map((service) => serviceView(service, input));
  const gateways = compiled.gateways.map((gateway) => {
    const shown = gatewayView(gateway, input);
    return { ...shown, reason: shown.reason || outdated(gateway.key, input) };
  });
  const totals = traffic.totals(now);
  return {
    mesh: input.mesh,
    project: input.project,
    version: input.version,
    pid: input.pid,
    startedAt: iso(input.startedAtMs),
    health: healthOf(input, services, gateways),
    config: {
      file: input.file,
      revision: applied.revision,
      appliedAt: iso(applied.appliedAtMs),
      isInSync: applied.isFileInForce && notReady(input).length === 0,
      diagnostics: applied.diagnostics,
    },
    services,
    gateways,
    unmeshed: compiled.unmeshed.map(({ container, service, reason }) => ({ container, service, reason })),
    troubles: input.troubles,
    edges: traffic.edges(now),
    bypass: bypassView(input),
    totals: ratesView(totals),
    mtlsRatio: totals.mtlsRatio,
    events: input.events.list(),
  };
}

/** A container that shares another's network is counted with that one, and one without a network has nothing to count. */
function bypassView({ bypass, applied, world }: StatusInput): BypassView {
  const passed = bypass.edges.filter(({ verdict }) => verdict === "passed");
  const running = new Map(world.containers.map((container) => [container.id, container]));
  const counted = new Set(applied.compiled.sidecars.map(({ containerId }) => containerId));
  return {
    bytes: passed.reduce((sum, { bytes }) => sum + bytes, 0),
    connections: passed.reduce((sum, { connections }) => sum + connections, 0),
    edges: bypass.edges,
    isComplete: bypass.isComplete,
    unread: bypass.unread,
    uncovered: applied.compiled.unmeshed.flatMap(
      ({ containerId, container, service, reason, sharesWith, isChosen }) => {
        const { state, networkMode } = running.get(containerId) ?? { state: "exited", networkMode: "none" };
        const isQuiet = (state !== "running" && state !== "paused") || networkMode === "none";
        return isQuiet || (sharesWith !== null && counted.has(sharesWith))
          ? []
          : [{ container, service, reason, isChosen }];
      },
    ),
  };
}

/** An application that does not listen by then may never: it is shown, and waited for no longer. */
const listensWithinMs = 10_000;

/** Sidecars and gateways that are wanted but do not serve the newest config, each with its reason. */
export function notReady(
  input: Omit<StatusInput, "traffic" | "now" | "events" | "bypass" | "troubles" | "image">,
): readonly string[] {
  const { applied, world } = input;
  const missing: string[] = [];
  for (const { containerId, container } of applied.compiled.sidecars) {
    const running = world.containers.find(({ id }) => id === containerId);
    if (running === undefined) continue;
    const { sidecar, isSynced, reason } = workloadState(running, input);
    if (sidecar !== "ready") missing.push(`${container}: ${reason || `sidecar ${sidecar}`}`);
    else if (!isSynced) missing.push(`${container}: ${reason || "not in sync yet"}`);
    else if (input.held.has(containerId)) missing.push(`${container}: frozen until its sidecar is ready`);
    else if (isStarting(running, input)) missing.push(`${container}: its application does not listen yet`);
  }
  for (const gateway of applied.compiled.gateways) {
    const { state, reason, listen } = gatewayView(gateway, input);
    const proxy = input.proxies.find(({ own }) => own.owner === gateway.key);
    if (state !== "ready") missing.push(`gateway ${listen}: ${reason || state}`);
    else if (proxy?.isSynced !== true) missing.push(`gateway ${listen}: ${proxy?.reason || "not in sync yet"}`);
  }
  const network = input.failures.get("network");
  if (network !== undefined) missing.push(`the mesh's network: ${network.reason}`);
  return missing;
}

function isStarting(container: Container, { proxies, nowMs }: Pick<StatusInput, "proxies" | "nowMs">): boolean {
  const isYoung = nowMs - Date.parse(container.startedAt) < listensWithinMs;
  return isYoung && proxies.some(({ own, listens }) => own.owner === container.id && listens === false);
}

function serviceView(service: CompiledService, input: StatusInput): ServiceView {
  const { traffic, now } = input;
  const seen = traffic.seen(service.name, now);
  const rates = traffic.service(service.name, now);
  const containers = new Map(input.world.containers.map((container) => [container.id, container]));
  return {
    name: service.name,
    mtls: service.mtls,
    ports: service.ports.map(({ number, protocol }) => ({ number, protocol })),
    address: service.address,
    split: service.split.map(({ version, weight }) => ({ version, weight, seen: seen.get(version) ?? 0 })),
    openPorts: service.openPorts,
    workloads: service.workloads.flatMap(({ containerId, version }) => {
      const container = containers.get(containerId);
      if (container === undefined) return [];
      const state = workloadState(container, input);
      const reason = state.reason || outdated(container.id, input);
      return [{ ...state, reason, version, ...ratesView(traffic.workload(container.name, now)) }];
    }),
    ...ratesView(rates),
    lastError: rates.lastError?.text ?? null,
    // The traffic's clock began with the process.
    lastErrorAt: rates.lastError === null ? null : iso(input.startedAtMs + rates.lastError.at),
  };
}

function outdated(owner: string, { proxies, image }: Pick<StatusInput, "proxies" | "image">): string {
  const own = proxies.find((proxy) => proxy.own.owner === owner)?.own;
  return own === undefined || own.image === image ? "" : outdatedReason;
}

type WorkloadState = Omit<WorkloadView, "version" | keyof StatusView["totals"]>;

function workloadState(
  container: Container,
  input: Pick<StatusInput, "applied" | "proxies" | "failures">,
): WorkloadState {
  const proxy = input.proxies.find(
    ({ own }) => own.kind === "sidecar" && own.owner === container.id && own.ownerStartedAt === container.startedAt,
  );
  const failure = input.failures.get(container.id);
  const wanted = input.applied.compiled.sidecars.find(({ containerId }) => containerId === container.id);
  const { sidecar, reason } = sidecarState(wanted !== undefined, proxy, failure);
  return {
    container: container.name,
    id: container.id,
    state: container.health === "none" ? container.state : `${container.state} (${container.health})`,
    sidecar,
    reason: reason || (wanted?.warning ?? ""),
    configHash: proxy?.configHash ?? null,
    isSynced: proxy?.isSynced ?? false,
    certificateExpiresAt: proxy?.certificateNotAfterMs == null ? null : iso(proxy.certificateNotAfterMs),
  };
}

function sidecarState(
  isWanted: boolean,
  proxy: ProxyStatus | undefined,
  failure: ActionFailure | undefined,
): Pick<WorkloadView, "sidecar" | "reason"> {
  if (!isWanted) return { sidecar: "none", reason: "" };
  if (proxy?.isReady === true) {
    const idle = proxy.listens === false ? "its application listens on none of its ports, and takes no traffic" : "";
    return { sidecar: "ready", reason: proxy.isSynced ? idle : proxy.reason || idle };
  }
  if (failure !== undefined) return { sidecar: "failed", reason: failure.reason };
  return { sidecar: "starting", reason: proxy?.reason ?? "" };
}

function gatewayView(
  gateway: CompiledGateway,
  input: Pick<StatusInput, "proxies" | "failures" | "engineHost">,
): StatusView["gateways"][number] {
  const { key, host, port, protocol, routes } = gateway;
  const proxy = input.proxies.find(({ own }) => own.owner === key);
  const failure = input.failures.get(key);
  const state = proxy?.isReady === true ? "ready" : failure === undefined ? "starting" : "failed";
  const listen = `${bracketed(host)}:${port}`;
  const { engineHost } = input;
  const elsewhere =
    engineHost !== "" && isLoopback(host)
      ? `only on ${engineHost} itself: ssh -L ${port}:${listen} ${engineHost}, or listen: "0.0.0.0:${port}"`
      : "";
  return {
    listen,
    url: `${protocol === "tcp" ? "tcp" : "http"}://${reachableHost(host, engineHost)}:${port}`,
    to: [...new Set(routes.map(({ service }) => service))].join(", "),
    state,
    reason: state === "ready" ? elsewhere : (failure?.reason ?? proxy?.reason ?? ""),
  };
}

/** A browser cannot open the wildcard addresses, and on another machine 127.0.0.1 is this one. */
function reachableHost(host: string, engineHost: string): string {
  const isWild = host === "0.0.0.0" || host === "::";
  if (engineHost !== "" && (isWild || isLoopback(host))) return bracketed(engineHost);
  return isWild ? "localhost" : bracketed(host);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}

function healthOf(
  input: StatusInput,
  services: readonly ServiceView[],
  gateways: StatusView["gateways"],
): StatusView["health"] {
  const sidecars = services.flatMap(({ workloads }) => workloads.map(({ sidecar }) => sidecar));
  const isFailed = sidecars.includes("failed") || gateways.some(({ state }) => state === "failed");
  if (!input.isConnected || isFailed) return "error";
  // A version gets its share of requests by its weight, whether or not anything of it runs.
  const splits = input.applied.compiled.services.flatMap(({ split }) => split);
  if (splits.some(({ weight, isServed }) => weight > 0 && !isServed)) return "degraded";
  return input.applied.isFileInForce && notReady(input).length === 0 ? "ok" : "degraded";
}

function ratesView({ rps, errorRatio, p50Ms, p99Ms }: Rates): StatusView["totals"] {
  return { rps, errorRatio, p50Ms, p99Ms };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
