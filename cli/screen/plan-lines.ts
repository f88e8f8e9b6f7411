// The plan of `up` for people: pure, at most `width` columns a line.
import type {
  PlannedContainer,
  PlannedOpening,
  PlannedPort,
  PlannedService,
  PlannedWorkload,
  PlanView,
} from "../../daemon/api/plan-view.ts";
import { foldedLines, printable } from "./table.ts";

export interface PlanOptions {
  readonly width: number;
  readonly paint: Readonly<Record<"bold" | "red", (text: string) => string>>;
}

/** Column in which what a label names begins. */
const labelWidth = 12;

export function planLines(view: PlanView, { width, paint }: PlanOptions): string[] {
  const say = (label: string, text: string) => labelled(label, text, width);
  const headed = (text: string) => foldedLines(printable(text), width).map(paint.bold);
  const title = (text: string) => ["", ...headed(text)];
  const lines = headed(`devmesh up of ${view.project} would do this; nothing was changed`);
  for (const { code, message, hint } of view.problems) {
    lines.push(...labelled("ERR", `${message} (${code})`, width).map(paint.red), ...say("", hint));
  }
  lines.push(...composeLines(view, { title, say }), ...title("mesh"));
  const { network } = view;
  lines.push(...say(network.action === "create" ? "make" : "keep", `network ${network.name} ${network.subnet}`));
  for (const { listen, to, action, busy } of view.gateways) {
    const state = busy ?? (action === "create" ? "the port is free" : "it is there");
    lines.push(...say(action === "create" ? "make" : action, `gateway ${listen} -> ${to}: ${state}`));
  }
  for (const { name, reason } of view.removed) lines.push(...say("remove", `${name}: ${reason}`));
  for (const service of view.services) {
    lines.push(...title(`${service.name}: mTLS ${service.mtls}`));
    lines.push(...serviceLines(service, say));
  }
  if (view.unmeshed.length > 0) lines.push(...title("not in the mesh"));
  for (const { container, reason, leaves } of view.unmeshed) {
    lines.push(...say("", `${container}: ${reason}${leaves ? "; its sidecar is removed" : ""}`));
  }
  if (view.notes.length > 0) lines.push(...title("not known"), ...view.notes.flatMap((note) => say("", note)));
  return lines;
}

interface Words {
  title(text: string): readonly string[];
  say(label: string, text: string): readonly string[];
}

function composeLines({ compose }: PlanView, { title, say }: Words): readonly string[] {
  if (compose === null) return title("compose is not run");
  const plain = Map.groupBy(
    compose.containers.filter(({ reason }) => reason === ""),
    ({ action }) => action,
  );
  const names = (list: readonly PlannedContainer[]) => list.map(({ container }) => container).join(", ");
  const reasoned = compose.containers.filter(({ reason }) => reason !== "");
  return [
    ...title(`${compose.command} up -d`),
    ...[...plain].flatMap(([action, list]) => say(action, names(list))),
    ...reasoned.flatMap(({ action, container, reason }) => say(action, `${container}: ${reason}`)),
    ...(compose.containers.length === 0 ? say("", "nothing") : []),
  ];
}

function serviceLines({ ports, workloads }: PlannedService, say: Words["say"]): readonly string[] {
  // Replicas are alike but for their names.
  const alike = Map.groupBy(workloads, ({ container: _, ...rest }) => JSON.stringify(rest));
  return [
    ...ports.flatMap((port) => say(`${port.number} ${port.protocol}`, portText(port))),
    ...[...alike.values()].flatMap((group) => workloadLines(group, say)),
  ];
}

function portText({ source, protocolSource, aliases, protocol }: PlannedPort): string {
  const sources: Readonly<Record<PlannedPort["source"], string>> = {
    "mesh.yaml": "from mesh.yaml",
    image: "the image's EXPOSE",
    expose: "compose's expose",
    ports: "compose's ports",
    container: "the container exposes it",
  };
  const protocols: Readonly<Record<PlannedPort["protocolSource"], string>> = {
    "mesh.yaml": `${protocol} by mesh.yaml`,
    image: `${protocol} by the image`,
    "well-known": "tcp by its number",
    sniffed: "known by the first bytes",
  };
  const also = aliases.length === 0 ? "" : `; answers on ${aliases.join(", ")} too`;
  return `${sources[source]}, ${protocols[protocolSource]}${also}`;
}

function workloadLines(group: readonly PlannedWorkload[], say: Words["say"]): readonly string[] {
  const [first] = group;
  if (first === undefined) return [];
  const { sidecar, joinsMesh, networks, start, startReason, resets, open, warning, version } = first;
  const names = group.map(({ container }) => container).join(", ");
  const count = resets === null ? "what is open then; how much is not known from here" : `${resets} that are open now`;
  const verbs = { create: "gets a sidecar", replace: "its sidecar is replaced", start: "its sidecar starts", keep: "" };
  const done = [verbs[sidecar] || "has its sidecar", ...(joinsMesh ? ["joins the mesh's network"] : [])];
  return [
    ...say("container", `${names}${version === null ? "" : ` (${version})`}: ${done.join(", ")}`),
    ...say("networks", networks.join(", ") || "none"),
    ...(start === "attached" && startReason === "" ? [] : say(start, startReason)),
    ...(start === "running" ? say("reset", `connections: ${count}`) : []),
    ...open.flatMap((opening) => say("open", openingText(opening))),
    ...(warning === null ? [] : say("beware", warning)),
  ];
}

function openingText({ what, host, reason }: PlannedOpening): string {
  return `${what}${host === null ? "" : ` at ${host}`}: ${reason}`;
}

function labelled(label: string, text: string, width: number): string[] {
  const [first = "", ...rest] = foldedLines(printable(text), width - labelWidth - 2);
  const indent = " ".repeat(labelWidth + 2);
  return [`  ${label.padEnd(labelWidth)}${first}`, ...rest.map((line) => indent + line.trimStart())].map((line) =>
    line.trimEnd(),
  );
}
