// The mesh's state as lines of text: what `status` prints and the live screen shows. Pure.
import type { EdgeView, ServiceView, StatusView, WorkloadView } from "../../daemon/api/view.ts";
import { formatDiagnostic } from "../../daemon/spec/diagnostic.ts";
import { bypassLines } from "./bypass-lines.ts";
import { type Line, line } from "./line.ts";
import { type Column, foldedLines, tableLines } from "./table.ts";

export interface ViewSize {
  readonly columns: number;
  readonly rows: number;
}

/** Everything, in the order of what a person asks first; no line is wider than `size`. `nowMs` is wall clock. */
export function statusLines(view: StatusView, nowMs: number, size: ViewSize): Line[] {
  const lines = [
    headline(view, nowMs),
    ...configLines(view),
    line(""),
    ...serviceLines(view, size),
    ...trafficLines(view, size),
    ...gatewayLines(view),
    ...otherLines(view, nowMs),
  ];
  return lines.flatMap(({ text, tone }) => foldedLines(text, size.columns).map((folded) => ({ text: folded, tone })));
}

function headline(view: StatusView, nowMs: number): Line {
  const { totals } = view;
  const parts = [
    `devmesh ${view.mesh}`,
    `up ${duration(nowMs - Date.parse(view.startedAt))}`,
    `${view.services.length} ${view.services.length === 1 ? "service" : "services"}`,
    `mTLS ${view.mtlsRatio === null ? "-" : percent(view.mtlsRatio)}`,
    `${rate(totals.rps)} rps`,
    `${percent(totals.errorRatio)} err`,
    `p99 ${milliseconds(totals.p99Ms)}`,
    view.health === "ok" ? "ok" : view.health.toUpperCase(),
  ];
  return line(parts.join("  "), "title");
}

function configLines(view: StatusView): Line[] {
  const { config } = view;
  const file = config.file ?? "no mesh.yaml (every service permissive)";
  const errors = config.diagnostics.filter((diagnostic) => diagnostic.severity === "error");
  const state =
    errors.length > 0
      ? "NOT APPLIED, the version before it is in force"
      : config.isInSync
        ? "in force"
        : "being applied";
  const lines = [line(`config ${file}  #${config.revision}  ${state}`, errors.length > 0 ? "bad" : "faint")];
  for (const diagnostic of config.diagnostics) {
    for (const text of formatDiagnostic(diagnostic).split("\n"))
      lines.push(line(text, diagnostic.severity === "error" ? "bad" : "warn"));
  }
  return lines;
}

interface ServiceRow {
  readonly service: ServiceView;
  readonly workload: WorkloadView | null;
  /** The service's own in its only row, since what reached no container is in no container's. */
  readonly rates: StatusView["totals"];
}

function serviceLines(view: StatusView, size: ViewSize): Line[] {
  const rows = view.services.flatMap((service): ServiceRow[] =>
    service.workloads.length === 0
      ? [{ service, workload: null, rates: service }]
      : service.workloads.map((workload) => {
          return { service, workload, rates: service.workloads.length === 1 ? service : workload };
        }),
  );
  const isAllRunning = rows.every(({ workload }) => workload === null || isRunning(workload));
  const columns: Column<ServiceRow>[] = [
    { title: "SERVICE", text: ({ service }) => service.name },
    { title: "VERSION", fold: 6, text: ({ workload }) => workload?.version ?? "-" },
    { title: "CONTAINER", fold: 4, text: ({ workload }) => workload?.container ?? "(none)" },
    { title: "STATE", fold: isAllRunning ? 3 : 7, text: ({ workload }) => workload?.state ?? "-" },
    { title: "SIDECAR", text: ({ workload }) => sidecarText(workload) },
    // Before what a narrow terminal cuts off: whether a split is what was set is what people look for first.
    { title: "SPLIT/SEEN", text: ({ service, workload }) => splitText(service, workload) },
    { title: "MTLS", fold: 2, text: ({ service }) => service.mtls },
    { title: "RPS", isRight: true, text: ({ rates }) => rate(rates.rps) },
    { title: "ERR", isRight: true, text: ({ rates }) => percent(rates.errorRatio) },
    { title: "P50", isRight: true, fold: 1, text: ({ rates }) => milliseconds(rates.p50Ms) },
    { title: "P99", isRight: true, text: ({ rates }) => milliseconds(rates.p99Ms) },
  ];
  const [title = "", ...texts] = tableLines(columns, rows, size.columns);
  return [line(title, "faint"), ...texts.map((text, i) => line(text, rowTone(rows[i])))];
}

function sidecarText(workload: WorkloadView | null): string {
  if (workload === null) return "-";
  return workload.sidecar === "ready" && !workload.isSynced ? "syncing" : workload.sidecar;
}

function splitText(service: ServiceView, workload: WorkloadView | null): string {
  const part = service.split.find((candidate) => candidate.version === workload?.version);
  return part === undefined ? "" : `${part.weight}/${percent(part.seen)}`;
}

function rowTone(row: ServiceRow | undefined): Line["tone"] {
  const { workload } = row ?? { workload: null };
  if (workload === null || workload.sidecar === "failed") return "bad";
  if (!isRunning(workload)) return "warn";
  return workload.sidecar === "ready" ? "good" : "warn";
}

function isRunning({ state }: WorkloadView): boolean {
  return state === "running" || state === "running (healthy)";
}

function trafficLines(view: StatusView, size: ViewSize): Line[] {
  if (view.edges.length === 0) return [];
  const columns: Column<EdgeView>[] = [
    { title: "FROM", text: (edge) => edge.from },
    { title: "TO", text: (edge) => (edge.version === null ? edge.to : `${edge.to} ${edge.version}`) },
    { title: "PROTO", fold: 3, text: (edge) => edge.protocol },
    { title: "RPS", isRight: true, text: (edge) => rate(edge.rps) },
    { title: "ERR", isRight: true, text: (edge) => percent(edge.errorRatio) },
    { title: "P50", isRight: true, fold: 1, text: (edge) => milliseconds(edge.p50Ms) },
    { title: "P99", isRight: true, text: (edge) => milliseconds(edge.p99Ms) },
    { title: "MTLS", isRight: true, text: (edge) => (edge.mtlsRatio === null ? "-" : percent(edge.mtlsRatio)) },
    { title: "REQUESTS", isRight: true, fold: 2, text: (edge) => String(edge.requests) },
  ];
  const [title = "", ...texts] = tableLines(columns, view.edges, size.columns);
  return [
    line(""),
    line(title, "faint"),
    ...texts.map((text, i) => line(text, (view.edges[i]?.errorRatio ?? 0) > 0 ? "warn" : "plain")),
  ];
}

function gatewayLines(view: StatusView): Line[] {
  if (view.gateways.length === 0) return [];
  return [
    line(""),
    ...view.gateways.map((gateway) =>
      line(
        `gateway ${gateway.url} -> ${gateway.to}  ${gateway.state}${gateway.reason === "" ? "" : `: ${gateway.reason}`}`,
        gateway.state === "failed" ? "bad" : "plain",
      ),
    ),
  ];
}

function otherLines(view: StatusView, nowMs: number): Line[] {
  const open = view.services.filter((service) => service.openPorts.length > 0);
  const reasons = view.services.flatMap((service) => service.workloads.filter((workload) => workload.reason !== ""));
  const lastErrors = view.services.filter((service) => service.lastError !== null);
  const lines = [
    ...view.troubles.map((text) => line(text, "bad")),
    ...bypassLines(view),
    ...open.map((service) =>
      line(`open to the host: ${service.name} on published port ${service.openPorts.join(", ")}`, "faint"),
    ),
    ...reasons.map((workload) => line(`${workload.container}: ${workload.reason}`, "warn")),
    ...lastErrors.map((service) => line(lastErrorText(service, nowMs), "warn")),
    ...view.unmeshed.map((one) => line(`not in the mesh: ${one.container}: ${one.reason}`, "warn")),
  ];
  return lines.length === 0 ? [] : [line(""), ...lines];
}

function lastErrorText({ name, lastError, lastErrorAt }: ServiceView, nowMs: number): string {
  const age = lastErrorAt === null ? "" : `, ${duration(nowMs - Date.parse(lastErrorAt))} ago`;
  return `last error of ${name}${age}: ${lastError}`;
}

export function percent(ratio: number): string {
  const value = ratio * 100;
  return `${value === 0 || value >= 99.95 ? value.toFixed(0) : value.toFixed(1)}%`;
}

export function rate(perSecond: number): string {
  return perSecond >= 100 ? perSecond.toFixed(0) : perSecond.toFixed(1);
}

export function milliseconds(ms: number): string {
  if (ms === 0) return "-";
  return ms >= 1000 ? `${(ms / 1000).toFixed(1)}s` : ms >= 10 ? `${ms.toFixed(0)}ms` : `${ms.toFixed(1)}ms`;
}

export function duration(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  return `${Math.floor(seconds / 3600)}h${Math.floor((seconds % 3600) / 60)}m`;
}
