// Logs of services: their containers, sidecars and gateways as one stream, each line with where it is from.
import type { LogLine, LogQuery } from "./api/messages.ts";
import { Problem } from "./api/problem.ts";
import type { Compiled } from "./compile/compile.ts";
import type { Engine } from "./docker/engine.ts";
import { followLogs } from "./docker/logs.ts";
import type { World } from "./docker/world.ts";

interface Source {
  readonly service: string;
  readonly container: string;
  readonly source: LogLine["source"];
}

/** Containers that come later are not among them. Throws Problem DM0002 for a service that does not exist. */
export async function* serviceLogs(
  engine: Engine,
  place: { readonly compiled: Compiled; readonly world: World },
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  const sources = sourcesOf(place, query.service);
  const options = {
    follow: query.isFollowed,
    signal,
    ...(query.tail === null ? {} : { tail: query.tail }),
    ...(query.since === null ? {} : { since: query.since }),
  };
  for await (const { container, stream, at, line } of followLogs(engine, [...sources.keys()], options)) {
    const from = sources.get(container);
    if (from !== undefined) yield { at, ...from, stream, text: line };
  }
}

/** By container id. */
function sourcesOf(
  { compiled, world }: { readonly compiled: Compiled; readonly world: World },
  wanted: string | null,
): ReadonlyMap<string, Source> {
  const sources = new Map<string, Source>();
  const names = new Map(world.containers.map(({ id, name }) => [id, name]));
  const serviceOf = new Map<string, string>();
  for (const { name, workloads } of compiled.services) {
    for (const { containerId } of workloads) serviceOf.set(containerId, name);
  }
  for (const [id, service] of serviceOf) {
    sources.set(id, { service, container: names.get(id) ?? id.slice(0, 12), source: "app" });
  }
  for (const { id, name, kind, owner } of world.own) {
    if (kind === "sidecar")
      sources.set(id, { service: serviceOf.get(owner) ?? "unknown", container: name, source: "sidecar" });
    if (kind === "gateway") sources.set(id, { service: "gateway", container: name, source: "gateway" });
  }
  if (wanted === null) return sources;
  const known = new Set([...compiled.services.map(({ name }) => name), "gateway"]);
  if (!known.has(wanted)) {
    throw new Problem("DM0002", `there is no service ${wanted}`, `services: ${[...known].sort().join(", ")}`);
  }
  return new Map([...sources].filter(([, { service }]) => service === wanted));
}
