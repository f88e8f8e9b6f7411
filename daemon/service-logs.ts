// Logs of the mesh: its applications, sidecars, gateways and the daemon as one stream, each line with where it is from.
import type { LogLine, LogQuery } from "./api/messages.ts";
import { Problem } from "./api/problem.ts";
import type { Compiled } from "./compile/compile.ts";
import { daemonLogLines, type LogTap } from "./daemon-log.ts";
import { type Engine, EngineError } from "./docker/engine.ts";
import { LineMerge } from "./docker/line-merge.ts";
import { type LogLine as ContainerLine, readContainerLog, unixTime } from "./docker/logs.ts";
import type { World } from "./docker/world.ts";

interface Source {
  readonly service: string;
  readonly container: string;
  readonly source: LogLine["source"];
  readonly isRunning: boolean;
}

interface Place {
  readonly compiled: Compiled;
  readonly world: World;
}

export interface ServiceLogsDeps {
  readonly engine: Engine;
  readonly daemon: { readonly file: string; readonly tap: LogTap };
  /** What is there now. */
  place(): Place;
  /** It may have changed. Returns how to stop listening. */
  onChange(listener: () => void): () => void;
}

/** Not services, but their logs can be asked for by these names. */
const others = ["gateway", "daemon"];

/** Followed, containers that start later are among them. Throws Problem DM0002 for a service that does not exist. */
export async function* serviceLogs(
  deps: ServiceLogsDeps,
  query: LogQuery,
  signal: AbortSignal,
): AsyncGenerator<LogLine> {
  assertKnown(deps.place(), query.service);
  if (query.since !== null && unixTime(query.since) === null) {
    throw new Problem("DM0002", `${query.since} is not a time`, "such as 2026-01-31T12:00:00Z, or seconds since 1970");
  }
  const merge = new LineMerge<LogLine>(signal);
  const containers = new OpenLogs(deps, query, merge);
  containers.open();
  if (query.service === null || query.service === "daemon") {
    merge.add((stopped) => daemonLogLines(deps.daemon, query, stopped));
  }
  if (!query.isFollowed) merge.complete();
  const stop = query.isFollowed ? deps.onChange(() => containers.open()) : () => undefined;
  try {
    yield* merge.lines();
  } finally {
    stop();
  }
}

/** Which containers' logs are read, and how far each has been. */
class OpenLogs {
  readonly #deps: ServiceLogsDeps;
  readonly #query: LogQuery;
  readonly #merge: LineMerge<LogLine>;
  readonly #open = new Set<string>();
  /** By container that was read: the time of its last line, or null. */
  readonly #seen = new Map<string, string | null>();
  readonly #unreadable = new Set<string>();
  #isFirst = true;

  constructor(deps: ServiceLogsDeps, query: LogQuery, merge: LineMerge<LogLine>) {
    this.#deps = deps;
    this.#query = query;
    this.#merge = merge;
  }

  /** Begins with what is not read yet. At first that is all; later what runs, since the log of a stopped one has ended. */
  open(): void {
    for (const [id, source] of sourcesOf(this.#deps.place(), this.#query.service)) {
      if (this.#open.has(id) || this.#unreadable.has(id) || !(this.#isFirst || source.isRunning)) continue;
      this.#open.add(id);
      const isNew = !this.#isFirst && !this.#seen.has(id);
      this.#merge.add(
        (signal) => this.#read(id, source, { isNew, signal }),
        () => this.#open.delete(id),
      );
    }
    this.#isFirst = false;
  }

  async *#read(
    id: string,
    { service, container, source }: Source,
    { isNew, signal }: { readonly isNew: boolean; readonly signal: AbortSignal },
  ): AsyncGenerator<LogLine> {
    const { isFollowed, tail, since } = this.#query;
    const last = this.#seen.get(id) ?? null;
    // The last lines are asked of what is there at first; of a container that started later all are news.
    const isCut = tail !== null && last === null && !isNew;
    const from = last ?? since;
    const options = { follow: isFollowed, signal, ...(isCut && { tail }), ...(from !== null && { since: from }) };
    this.#seen.set(id, last);
    const shown = { service, container, source };
    try {
      for await (const line of readContainerLog(this.#deps.engine, id, options)) {
        // Docker begins with the very line whose time it is given.
        if (last !== null && isSeen(line, last)) continue;
        if (line.at !== "") this.#seen.set(id, line.at);
        yield { at: line.at, ...shown, stream: line.stream, text: line.line };
      }
    } catch (error) {
      if (!(error instanceof EngineError) || error.status === 0) throw error;
      // One that is just gone, or whose log driver keeps nothing, must not end the others' logs. It is not asked again.
      this.#unreadable.add(id);
      const isGone = error.status === 404 || error.status === 409;
      if (!isGone) yield { at: "", ...shown, stream: "stderr", text: `(no log: ${error.message})` };
    }
  }
}

function isSeen({ at }: ContainerLine, last: string): boolean {
  return at !== "" && at <= last;
}

function assertKnown({ compiled }: Place, wanted: string | null): void {
  const known = new Set([...compiled.services.map(({ name }) => name), ...others]);
  if (wanted === null || known.has(wanted)) return;
  throw new Problem("DM0002", `there is no service ${wanted}`, `services: ${[...known].sort().join(", ")}`);
}

/** By container id. A service's sidecars belong to it. */
function sourcesOf({ compiled, world }: Place, wanted: string | null): ReadonlyMap<string, Source> {
  const sources = new Map<string, Source>();
  const containers = new Map(world.containers.map((container) => [container.id, container]));
  const serviceOf = new Map<string, string>();
  for (const { name, workloads } of compiled.services) {
    for (const { containerId } of workloads) serviceOf.set(containerId, name);
  }
  for (const [id, service] of serviceOf) {
    const container = containers.get(id);
    if (container === undefined) continue;
    const { name, state } = container;
    sources.set(id, { service, container: name, source: "app", isRunning: state === "running" });
  }
  for (const { id, name, kind, owner, state } of world.own) {
    if (kind === "one-shot") continue;
    const service = kind === "gateway" ? "gateway" : (serviceOf.get(owner) ?? "unknown");
    sources.set(id, { service, container: name, source: kind, isRunning: state === "running" });
  }
  return wanted === null ? sources : new Map([...sources].filter(([, { service }]) => service === wanted));
}
