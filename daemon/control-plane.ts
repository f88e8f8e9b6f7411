// One round of reload: Spec and World in, configs to the fleet and actions to Docker out. Holds what is in force.
import { canonicalJson } from "../proxy/contract/diff.ts";
import { allocate } from "./compile/addresses.ts";
import { addressNames, type Compiled, compile } from "./compile/compile.ts";
import type { CompileInput } from "./compile/model.ts";
import { mergeDiagnostics } from "./compile/problems.ts";
import { type Action, type Desired, planActions } from "./docker/plan.ts";
import type { Container, World } from "./docker/world.ts";
import type { EventLog } from "./event-log.ts";
import type { Fleet } from "./push/fleet.ts";
import type { Renewing } from "./renewals.ts";
import type { Diagnostic } from "./spec/diagnostic.ts";
import type { LoadedSpec, Spec } from "./spec/spec.ts";
import type { SpecSource } from "./spec-source.ts";
import type { AddressBook } from "./state/addresses.ts";

export interface ControlPlaneDeps {
  readonly project: string;
  readonly meshName: string;
  readonly image: string;
  readonly source: SpecSource;
  readonly world: { snapshot(): World; readonly isConnected: boolean };
  readonly fleet: Fleet;
  readonly book: AddressBook;
  readonly events: EventLog;
  /** What an earlier daemon had in force: goes on when the file is broken at a restart. Null: the file must be good. */
  readonly lastGood: Spec | null;
  /** Services of compose's config; null: not known. */
  knownServices(): readonly string[] | null;
  /** Those of them that are jobs. */
  jobs(): ReadonlySet<string>;
  readonly runner: { submit(plan: readonly Action[]): void };
  hostsCleaned(): ReadonlySet<string>;
  readonly renewing: Renewing;
  /** There are proxies that this daemon cannot speak with. */
  onIncompatible(): void;
  /** Wall clock. */
  now(): number;
  onApplied(spec: Spec): void;
  onChange(): void;
}

/** What is in force, and what keeps the file from being so. */
export interface Applied {
  readonly spec: Spec;
  readonly compiled: Compiled;
  readonly revision: number;
  readonly appliedAtMs: number;
  /** False: the file says something else, which was refused. */
  readonly isFileInForce: boolean;
  readonly diagnostics: readonly Diagnostic[];
}

export class ControlPlane {
  readonly #deps: ControlPlaneDeps;
  #applied: Applied | null = null;
  #specText = "";
  #isPlanning = false;

  constructor(deps: ControlPlaneDeps) {
    this.#deps = deps;
  }

  /** Null before the first round that found a valid Spec. */
  get applied(): Applied | null {
    return this.#applied;
  }

  /** Until this is called Docker is only looked at; `down` stops it again. */
  setPlanning(isPlanning: boolean): void {
    this.#isPlanning = isPlanning;
  }

  async round(): Promise<void> {
    const { source, world, fleet, events } = this.#deps;
    const loaded = await source.read(this.#knownServices());
    // From here to the end nothing waits: one World, one Spec.
    const snapshot = world.snapshot();
    const before = this.#applied;
    fleet.follow(snapshot.own);
    const accepted = this.#accept(loaded, snapshot);
    const { spec } = accepted;
    const inForce = spec ?? before?.spec ?? this.#deps.lastGood;
    if (inForce === null) return;
    const compiled = compile(this.#input(inForce, snapshot));
    const isNew = before === null || inForce !== before.spec;
    this.#applied = {
      spec: inForce,
      compiled,
      revision: (before?.revision ?? 0) + (isNew ? 1 : 0),
      appliedAtMs: isNew ? this.#deps.now() : before.appliedAtMs,
      isFileInForce: spec !== null,
      diagnostics: spec === null ? accepted.diagnostics : mergeDiagnostics(accepted.diagnostics, compiled.diagnostics),
    };
    if (isNew) this.#deps.onApplied(inForce);
    if (isNew && before !== null) events.add(`${source.file ?? "the defaults"} applied`);
    if (spec === null && before?.isFileInForce !== false) events.add(`the file was refused: ${firstOf(accepted)}`);
    fleet.push(compiled.proxies);
    if (this.#isPlanning && world.isConnected) this.#plan(snapshot, compiled);
    if (this.#isPlanning && fleet.incompatible().size > 0) this.#deps.onIncompatible();
    this.#deps.onChange();
  }

  /** What the file says now, or why it cannot be put in force: for a start, before anything is changed. */
  async check(): Promise<{ readonly compiled: Compiled | null; readonly diagnostics: readonly Diagnostic[] }> {
    const loaded = await this.#deps.source.read(this.#knownServices());
    const snapshot = this.#deps.world.snapshot();
    const { spec, diagnostics } = this.#accept(loaded, snapshot);
    return { compiled: spec === null ? null : compile(this.#input(spec, snapshot)), diagnostics };
  }

  /** Whether a container that starts now is to be frozen until its sidecar is ready. */
  wantsHold(container: Container): boolean {
    if (this.#applied === null || !this.#isPlanning) return false;
    const snapshot = this.#deps.world.snapshot();
    // Its start is the news: the World may still show it as it was before.
    const others = snapshot.containers.filter(({ id }) => id !== container.id);
    const world: World = { ...snapshot, containers: [...others, { ...container, state: "running" }] };
    const { sidecars } = compile(this.#input(this.#applied.spec, world));
    return sidecars.some(({ containerId, hold }) => containerId === container.id && hold);
  }

  /** The Spec to put in force: the one that is, when it says the same; null when it is refused. */
  #accept(loaded: LoadedSpec, world: World): { spec: Spec | null; diagnostics: readonly Diagnostic[] } {
    if (loaded.kind === "invalid") return { spec: null, diagnostics: loaded.diagnostics };
    const text = canonicalJson(loaded.spec);
    if (this.#applied !== null && text === this.#specText) {
      return { spec: this.#applied.spec, diagnostics: loaded.warnings };
    }
    const { diagnostics } = compile(this.#input(loaded.spec, world));
    if (diagnostics.some(({ severity }) => severity === "error")) {
      return { spec: null, diagnostics: mergeDiagnostics(loaded.warnings, diagnostics) };
    }
    this.#specText = text;
    return { spec: loaded.spec, diagnostics: loaded.warnings };
  }

  #input(spec: Spec, world: World): CompileInput {
    const { project, meshName, book } = this.#deps;
    const leaving = withLeaving(world, this.#deps.renewing.leaving);
    const known = { knownServices: this.#deps.knownServices(), jobs: this.#deps.jobs() };
    const input = { spec, world: leaving, project, meshName, ...known };
    if (world.mesh !== null) book.set(allocate(addressNames(input), book.addresses, world.mesh.subnet));
    return { ...input, addresses: book.addresses, readySidecars: this.#readyWorkloads(world) };
  }

  /** Application containers that listen, and whose sidecar serves in the namespace that the container has now. */
  #readyWorkloads(world: World): ReadonlySet<string> {
    const startedAt = new Map(world.containers.map((container) => [container.id, container.startedAt]));
    const ready = this.#deps.fleet
      .statuses()
      .filter(
        ({ own, isReady, listens }) =>
          own.kind === "sidecar" && isReady && listens !== false && startedAt.get(own.owner) === own.ownerStartedAt,
      );
    return new Set(ready.map(({ own }) => own.owner));
  }

  #knownServices(): readonly string[] | null {
    return knownWith(this.#deps.knownServices(), this.#deps.world.snapshot());
  }

  #plan(world: World, compiled: Compiled): void {
    const { image, runner } = this.#deps;
    const { replaced } = this.#deps.renewing;
    const desired = desiredOf(compiled, { image, hostsCleaned: this.#deps.hostsCleaned(), replaced });
    runner.submit(planActions({ world, desired }));
  }
}

/** Its sidecar is about to be replaced: like a container that was told to stop it gets nothing new where another can take it. */
function withLeaving(world: World, leaving: string | null): World {
  if (leaving === null) return world;
  const containers = world.containers.map((one) => (one.id === leaving ? { ...one, isStopping: true } : one));
  return { ...world, containers };
}

/** What is asked of Docker: the one step between compile and the actions, for a running mesh and for a plan. */
export function desiredOf(
  { sidecars, gateways }: Compiled,
  rest: Pick<Desired, "image" | "hostsCleaned" | "replaced">,
): Desired {
  return {
    ...rest,
    sidecars,
    gateways: gateways.map(({ key, host, port }) => ({ key, host, port, containerPort: port })),
  };
}

/** Every name that can be a service's: those of the compose files, and those that run; null where the files cannot be read. */
export function knownWith(known: readonly string[] | null, { containers }: World): readonly string[] | null {
  return known === null ? null : [...new Set([...known, ...containers.map(({ service }) => service)])].sort();
}

function firstOf({ diagnostics }: { diagnostics: readonly Diagnostic[] }): string {
  const first = diagnostics.find(({ severity }) => severity === "error");
  return first === undefined ? "it has errors" : `${first.file}:${first.line} ${first.message}`;
}
