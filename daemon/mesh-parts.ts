// The parts of a running mesh, connected to each other; nothing runs before the first signal.
import type { BypassWatch } from "./bypass-watch.ts";
import { type Authority, openAuthority } from "./ca/authority.ts";
import type { Closers } from "./closers.ts";
import { ControlPlane } from "./control-plane.ts";
import { openControlStream } from "./docker/control-stream.ts";
import { ActionRunner } from "./docker/execute.ts";
import type { MeshIdentity } from "./docker/labels.ts";
import type { OwnContainer, World } from "./docker/world.ts";
import type { WorldWatch } from "./docker/world-watch.ts";
import type { DockerParts } from "./docker-parts.ts";
import { createEventLog, type EventLog } from "./event-log.ts";
import { ReloadLoop } from "./loop.ts";
import type { DaemonParts } from "./main.ts";
import { MetricsDoor } from "./metrics-door.ts";
import { openBypassWatch } from "./open-bypass-watch.ts";
import { type Epochs, openEpochs } from "./push/epochs.ts";
import { Fleet, servingKey } from "./push/fleet.ts";
import { Renewals } from "./renewals.ts";
import { composeJobsReader } from "./spec/compose-jobs.ts";
import { composeServicesReader } from "./spec/compose-services.ts";
import { defaultSpec } from "./spec/defaults.ts";
import type { Spec } from "./spec/spec.ts";
import type { SpecSource } from "./spec-source.ts";
import { openAddressBook } from "./state/addresses.ts";
import { type Adoption, openAdoption } from "./state/adoption.ts";
import { type InForce, inForceRecord } from "./state/in-force.ts";
import { openTelemetry, type Telemetry } from "./telemetry/telemetry.ts";

export interface MeshGround {
  readonly docker: DockerParts;
  readonly identity: MeshIdentity;
  readonly world: WorldWatch;
  readonly source: SpecSource;
  /** Of the daemon before, when its mesh still runs. */
  readonly inForce: InForce | null;
}

export interface MeshParts extends MeshGround {
  readonly fleet: Fleet;
  readonly plane: ControlPlane;
  readonly runner: ActionRunner;
  readonly loop: ReloadLoop;
  readonly telemetry: Telemetry;
  readonly events: EventLog;
  readonly renewals: Renewals;
  readonly bypass: BypassWatch;
}

export async function connectParts(parts: DaemonParts, ground: MeshGround, closers: Closers): Promise<MeshParts> {
  const { options, paths, log, backend, writer } = parts;
  const { docker, identity, world, inForce } = ground;
  const events = createEventLog(Date.now);
  const telemetry = openTelemetry(() => performance.now());
  const [adoption, authority, epochs, book] = await Promise.all([
    openAdoption(paths.adoption, writer),
    openAuthority(paths.root, docker.engine.now()),
    openEpochs(paths.epoch, Date.now, writer),
    openAddressBook(paths.addresses, writer),
  ]);
  const lifetimeMs = (): number => (plane.applied?.spec ?? inForce?.spec ?? defaultSpec).certificateLifetimeMs;
  const onReady = (): void => loop.signal();
  const fleet = openFleet({ parts, docker, adoption, authority, epochs, telemetry, lifetimeMs, onReady });
  const hostsCleaned = (): ReadonlySet<string> => new Set([...adoption.hostsCleaned, ...runner.hostsCleaned]);
  closers.add(() => fleet.close());
  const shared = { ...docker, identity, image: options.image, log, world, random: Math.random };
  const now = (): number => performance.now();
  const bypass = openBypassWatch(ground, { applied: () => plane.applied, onChange: () => backend.changed() });
  closers.add(() => bypass.close());
  const beforeRemoval = (ownId: string): Promise<void> => bypass.readBeforeRemoval(ownId);
  const runner = new ActionRunner({ ...shared, now, beforeRemoval, onSettled: () => loop.signal() });
  closers.add(() => runner.close());
  const renewals: Renewals = new Renewals({
    outdated: () => outdatedProxies(world.snapshot(), options.image, fleet.incompatible()),
    settle: () => loop.settled(),
    done: (owner) => runner.settled(owner),
    waitFor: (isTrue, ms) => fleet.waitFor(isTrue, ms),
    isSynced: () => fleet.statuses().every(({ isSynced, state }) => isSynced || state === "incompatible"),
    serves: (owner, butNot) =>
      fleet.statuses().some(({ own, isReady }) => own.owner === owner && own.id !== butNot.id && isReady),
    onEvent: (text) => events.add(text),
    onChange: () => backend.changed(),
  });
  closers.add(() => renewals.close());
  const onApplied = rememberApplied(parts, identity, { events, closers });
  const plane = new ControlPlane({
    project: options.project,
    meshName: identity.mesh,
    image: options.image,
    source: ground.source,
    world,
    fleet,
    book,
    events,
    lastGood: inForce?.spec ?? null,
    knownServices: openKnownServices(parts),
    jobs: composeJobsReader(parts.options.composeFiles),
    runner,
    hostsCleaned,
    renewing: renewals,
    onIncompatible: () => void renewals.run(),
    now: Date.now,
    onApplied,
    onChange: () => {
      const serving = fleet.statuses().filter(({ isReady }) => isReady);
      const ids = new Set(world.snapshot().containers.map(({ id }) => id));
      const cleaned = [...hostsCleaned()].filter((key) => ids.has(key.slice(0, key.indexOf("@"))));
      adoption.update({ serving: new Set(serving.map(({ own }) => servingKey(own))), hostsCleaned: new Set(cleaned) });
      bypass.learn();
      backend.changed();
    },
  });
  const loop = new ReloadLoop({
    // Two daemons would undo each other's work.
    round: async () => (parts.isTheOne() ? await plane.round() : parts.end(1)),
    onError: (error) => log.error({ err: error }, "a round of the reload loop failed"),
  });
  closers.add(() => loop.close());
  return { ...ground, fleet, plane, runner, loop, telemetry, events, renewals, bypass };
}

/** Sidecars first, since a gateway has to let go of its port before its successor can have it. */
function outdatedProxies({ own }: World, image: string, incompatible: ReadonlySet<string>): readonly OwnContainer[] {
  const outdated = own.filter(
    (one) => one.kind !== "one-shot" && one.state === "running" && (one.image !== image || incompatible.has(one.id)),
  );
  return [...outdated.filter(({ kind }) => kind === "sidecar"), ...outdated.filter(({ kind }) => kind === "gateway")];
}

interface FleetGround {
  readonly parts: DaemonParts;
  readonly docker: DockerParts;
  readonly adoption: Adoption;
  readonly authority: Authority;
  readonly epochs: Epochs;
  readonly telemetry: Telemetry;
  lifetimeMs(): number;
  /** Another set of sidecars serves now. */
  onReady(): void;
}

function openFleet({ parts, docker, adoption, authority, epochs, telemetry, lifetimeMs, onReady }: FleetGround): Fleet {
  const { log, backend } = parts;
  let ready = "";
  const fleet: Fleet = new Fleet({
    wasServing: adoption.serving,
    open: (id) => openControlStream(docker.engine, id),
    nextEpoch: () => epochs.next(),
    sign: async (spki, identity) => {
      const life = lifetimeMs();
      const now = await docker.engine.readClock();
      const signed = await authority.signWorkload({ spki, identity, lifetimeMs: life, now });
      return { ...signed, roots: authority.roots, lifetimeMs: life };
    },
    // Certificates are for containers: the engine's clock is theirs, this machine's may be another.
    now: () => docker.engine.now(),
    lifetimeMs,
    log: (level, own, text) => log[level]({ proxy: own.name }, text),
    onReport: (own, report, isResumed) => {
      telemetry.add(own.id, report, isResumed);
      backend.changed();
    },
    onGone: (own) => telemetry.forget(own.id),
    onChange: () => {
      // An ack changes only what is shown; who serves is a matter for every proxy.
      const now = [...fleet.servingSidecars(), "but", ...fleet.incompatible()].sort().join();
      if (now !== ready) onReady();
      ready = now;
      backend.changed();
    },
  });
  return fleet;
}

/** What follows from each new Spec beside configs: the metrics listener, and the memory for the next daemon. */
function rememberApplied(
  { options, paths, log, backend, writer }: DaemonParts,
  { mesh }: MeshIdentity,
  { events, closers }: { readonly events: EventLog; readonly closers: Closers },
): (spec: Spec) => void {
  const metrics = new MetricsDoor(
    () => backend.metrics(),
    (error) => {
      log.warn({ err: error }, "no metrics listener");
      events.add(error instanceof Error ? error.message : String(error));
    },
  );
  closers.add(() => metrics.close());
  return (spec) => {
    metrics.set(spec.metricsListen);
    writer.write(paths.inForce, inForceRecord(options.version, { mesh, spec })).catch(() => undefined);
  };
}

/** Compose's files are read again at each call: a service that was added since must not look like a mistake. */
export function openKnownServices({ options }: Pick<DaemonParts, "options">): () => readonly string[] | null {
  if (options.composeFiles.length === 0) return () => options.knownServices;
  const read = composeServicesReader(options.composeFiles);
  return () => read() ?? options.knownServices;
}
