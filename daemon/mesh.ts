// Opens a running mesh in the order in which nothing is missed and nothing is changed too early.
import { Problem } from "./api/problem.ts";
import { type Closers, createClosers } from "./closers.ts";
import type { Compiled } from "./compile/compile.ts";
import { HoldGate } from "./docker/hold.ts";
import { ensureImage } from "./docker/image.ts";
import type { MeshIdentity } from "./docker/labels.ts";
import { ensureGatewayNetwork, ensureMeshNetwork } from "./docker/network.ts";
import { describePortHolder } from "./docker/port-holder.ts";
import type { Container, MeshNetwork } from "./docker/world.ts";
import { WorldWatch } from "./docker/world-watch.ts";
import { type DockerParts, identityFor, openDocker, removeMesh } from "./docker-parts.ts";
import { firstList } from "./first-list.ts";
import { assertHostPortIsFree } from "./host-port.ts";
import type { DaemonParts } from "./main.ts";
import { meshBackend } from "./mesh-backend.ts";
import { connectParts, type MeshParts, openKnownServices } from "./mesh-parts.ts";
import type { LoadedSpec } from "./spec/spec.ts";
import { SpecSource } from "./spec-source.ts";
import { SpecWatch } from "./spec-watch.ts";
import { SpecRefused } from "./start-reporter.ts";
import { readInForce } from "./state/in-force.ts";
import { writeJson } from "./state/store.ts";

/** Running proxies that have not spoken by then count as not serving until they do. */
const adoptMs = 2_500;
/** What the first push to adopted proxies gets before commands are answered, so that they see it done. */
const adoptedSyncMs = 1_500;
/** Rounds of the loop in which a held container gets its sidecar; the gate has its own limit in time. */
const attachRoundsMax = 100;

export interface OpenedMesh {
  /** Lets go of everything; proxies serve on. */
  close(): Promise<void>;
}

/** Throws Problem; a mesh that did not run before is then as if it had not been started. */
export async function openMesh(parts: DaemonParts): Promise<OpenedMesh> {
  const closers = createClosers((error) => parts.log.error({ err: error }, "a part did not close"));
  try {
    await open(parts, closers);
    return closers;
  } catch (error) {
    await closers.close();
    throw error;
  }
}

async function open(parts: DaemonParts, closers: Closers): Promise<void> {
  const { options, reporter, backend, paths, log } = parts;
  const docker = await openDocker(parts);
  closers.add(() => docker.engine.close());
  await ensureImage(docker.engine, options.image);
  reporter.step(`Docker ${docker.engine.engineVersion} at ${docker.engine.url}`);
  const source = new SpecSource(options);
  const before = await readInForce(paths.inForce, options.version);
  const name = before?.mesh ?? nameOf(await source.read(openKnownServices(parts)())) ?? options.project;
  const identity = identityFor(parts, name);
  const world = new WorldWatch({ engine: docker.engine, identity, log, random: Math.random });
  closers.add(() => world.close());
  await firstList(world);
  const isAdopting = world.snapshot().own.length > 0;
  const inForce = isAdopting ? before : null;
  const mesh = await connectParts(parts, { docker, identity, world, source, inForce }, closers);
  const wanted = await mesh.plane.check();
  if (wanted.compiled === null && inForce === null) throw new SpecRefused(wanted.diagnostics);
  if (isAdopting) {
    // Before the first config is pushed it must be known who serves: it names the endpoints.
    mesh.fleet.follow(world.snapshot().own);
    await mesh.fleet.waitAdopted(adoptMs);
    reporter.step(`${mesh.fleet.statuses().length} running proxies adopted`);
  } else if (wanted.compiled !== null) await assertPortsAreFree(docker, wanted.compiled);
  await writeJson(paths.options, { ...options, engineEnv: docker.engine.variables });
  try {
    await begin(parts, mesh, (wanted.compiled?.gateways.length ?? 0) > 0);
  } catch (error) {
    await quiesce(mesh);
    if (!isAdopting) await removeMesh(parts, docker, { identity, onStep: () => undefined });
    throw error;
  }
  const gate = openGate(mesh, log);
  closers.add(() => gate.close());
  const watch = new SpecWatch({
    files: source.files,
    onChange: () => mesh.loop.signal(),
    onError: (error) => log.warn({ err: error }, "watching mesh.yaml failed; it is polled"),
  });
  closers.add(() => watch.close());
  await watch.ready;
  // An edit between the first round and the watch would otherwise wait for the poll.
  await mesh.loop.settled();
  if (isAdopting)
    await mesh.fleet.waitFor(() => mesh.fleet.statuses().every(({ isSynced }) => isSynced), adoptedSyncMs);
  const down = async (): Promise<void> => {
    await watch.close();
    mesh.plane.setPlanning(false);
    await gate.close();
    await quiesce(mesh);
  };
  mesh.bypass.start();
  backend.open(meshBackend(parts, { ...mesh, held: () => gate.held }, down));
}

/** Network, sidecars and gateways; the gateways are waited for, since a busy host port ends a first start. */
async function begin({ reporter }: DaemonParts, mesh: MeshParts, hasGateways: boolean): Promise<void> {
  const { docker, identity, world, loop, plane, runner } = mesh;
  const network = await ensureNetworks(docker, identity, hasGateways);
  await world.relist();
  reporter.step(`network ${network.name} ${network.subnet}`);
  world.onChange(() => loop.signal());
  world.onImage(() => runner.onImage());
  world.onBack(() => {
    mesh.fleet.hurry();
    runner.onEngineBack();
  });
  plane.setPlanning(true);
  await loop.settled();
  const gateways = plane.applied?.compiled.gateways ?? [];
  await Promise.all(gateways.map(({ key }) => runner.settled(key)));
  for (const { key, host, port } of gateways) {
    const failure = runner.failures.get(key);
    if (failure?.error instanceof Problem && mesh.inForce === null) throw failure.error;
    reporter.step(`gateway ${host}:${port}${failure === undefined ? "" : `: ${failure.reason}`}`);
  }
}

/** A gateway makes its own network where it is missing; both together are there sooner. */
async function ensureNetworks(
  { engine, reservedSubnets }: DockerParts,
  identity: MeshIdentity,
  hasGateways: boolean,
): Promise<MeshNetwork> {
  const making = [
    ensureMeshNetwork(engine, identity, reservedSubnets),
    hasGateways ? ensureGatewayNetwork(engine, identity) : "",
  ] as const;
  // Both have ended before the first error counts: what is removed then must not come after.
  const [mesh, gateways] = await Promise.allSettled(making);
  if (mesh.status === "rejected") throw mesh.reason;
  if (gateways.status === "rejected") throw gateways.reason;
  return mesh.value;
}

function openGate({ docker, world, plane, loop, runner, fleet }: MeshParts, log: DaemonParts["log"]): HoldGate {
  const sidecarOf = ({ id }: Container): string | null => {
    const { containers, own } = world.snapshot();
    const startedAt = containers.find((container) => container.id === id)?.startedAt;
    const found = own.find((one) => one.kind === "sidecar" && one.owner === id && one.ownerStartedAt === startedAt);
    return found?.id ?? null;
  };
  return new HoldGate({
    engine: docker.engine,
    journal: docker.journal,
    log,
    world,
    // A start that is told again, after the engine's events were lost, must not freeze a container that serves.
    shouldHold: (container) =>
      plane.wantsHold(container) && (container.state !== "running" || sidecarOf(container) === null),
    attach: async (container) => {
      await world.refresh([container.id]);
      // After a restart the key's first turn may be the removal of the old sidecar; the new one then comes with the next.
      for (let round = 0; round < attachRoundsMax; round++) {
        await loop.settled();
        await runner.settled(container.id);
        const sidecar = sidecarOf(container);
        if (sidecar !== null || runner.failures.has(container.id)) return sidecar;
      }
      return null;
    },
    waitReady: (sidecarId, timeoutMs) => fleet.waitReady(sidecarId, timeoutMs),
    onReleased: () => loop.signal(),
  });
}

async function quiesce({ plane, loop, runner, fleet, renewals, bypass }: MeshParts): Promise<void> {
  plane.setPlanning(false);
  renewals.close();
  await bypass.close();
  await loop.close();
  await runner.close();
  fleet.close();
}

/** Only where the engine's ports are this machine's; elsewhere Docker tells when it creates the gateway. */
async function assertPortsAreFree({ engine }: DockerParts, { gateways }: Compiled): Promise<void> {
  if (!engine.isLocal) return;
  for (const { host, port } of gateways) {
    await assertHostPortIsFree(host, port, () => describePortHolder(engine, port));
  }
}

function nameOf(loaded: LoadedSpec): string | null {
  return loaded.kind === "ok" ? loaded.spec.name : null;
}
