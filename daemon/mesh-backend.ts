// What the API of a running mesh shows and does.

import { Problem } from "./api/problem.ts";
import type { MeshBackend } from "./backend.ts";
import type { BypassReading } from "./bypass-watch.ts";
import type { Applied } from "./control-plane.ts";
import { listBlockedPorts } from "./docker/blocked-ports.ts";
import { removeMesh } from "./docker-parts.ts";
import type { DaemonParts } from "./main.ts";
import type { MeshParts } from "./mesh-parts.ts";
import { type ServiceLogsDeps, serviceLogs } from "./service-logs.ts";
import { buildStatus, notReady, type StatusInput } from "./status.ts";
import { meshRegistry } from "./telemetry/metrics.ts";

/** Of the two clocks; containers' certificates are made by the engine's, times that are shown are this machine's. */
const clockDifferenceMaxMs = 5 * 60_000;

function wrongClock(aheadMs: number): readonly string[] {
  if (Math.abs(aheadMs) <= clockDifferenceMaxMs) return [];
  const minutes = Math.round(Math.abs(aheadMs) / 60_000);
  const side = aheadMs < 0 ? "ahead of" : "behind";
  return [
    `this machine's clock is ${minutes} minutes ${side} the Docker engine's: set the wrong one, since applications see it`,
  ];
}

function unanswered(url: string, isConnected: boolean): readonly string[] {
  if (isConnected) return [];
  return [`the Docker engine at ${url} does not answer: traffic goes on, containers are not followed; see docker info`];
}

function unwritten({ writer }: Pick<DaemonParts, "writer">): readonly string[] {
  const { trouble } = writer;
  if (trouble === null) return [];
  const text = trouble instanceof Problem ? `${trouble.message} (${trouble.code}); ${trouble.hint}` : trouble.message;
  return [`${text}; until then a new daemon would not know all that this one knows`];
}

/** `quiesce` stops all work on Docker, the file and the proxies, before `down` undoes it. */
export function meshBackend(
  parts: DaemonParts,
  mesh: MeshParts & { held(): ReadonlySet<string> },
  quiesce: () => Promise<void>,
): MeshBackend {
  const { options } = parts;
  const { docker, identity, world, plane, loop, telemetry, fleet, runner, source, events, bypass } = mesh;
  const startedAtMs = Date.now() - performance.now();
  const applied = (): Applied => {
    if (plane.applied === null) throw new Problem("DM0201", "the daemon is starting", "try again in a moment");
    return plane.applied;
  };
  const input = (reading: BypassReading = bypass.view()): StatusInput => ({
    mesh: identity.mesh,
    project: options.project,
    version: options.version,
    pid: process.pid,
    startedAtMs,
    file: source.file,
    applied: applied(),
    world: world.snapshot(),
    engineHost: docker.engine.host,
    isConnected: world.isConnected,
    proxies: fleet.statuses(),
    failures: runner.failures,
    held: mesh.held(),
    nowMs: docker.engine.now(),
    traffic: telemetry.traffic,
    now: performance.now(),
    events,
    image: options.image,
    troubles: [
      ...unanswered(docker.engine.url, world.isConnected),
      ...unwritten(parts),
      ...wrongClock(docker.engine.now() - Date.now()),
    ],
    bypass: reading,
  });
  const logs: ServiceLogsDeps = {
    engine: docker.engine,
    daemon: { file: parts.paths.log, tap: parts.logTap },
    place: () => ({ compiled: applied().compiled, world: world.snapshot() }),
    onChange: (listener) => parts.backend.onChange(listener),
  };
  const registry = meshRegistry({
    ledger: telemetry.ledger,
    mesh: identity.mesh,
    proxies: () =>
      fleet.statuses().map(({ own, isReady, isSynced }) => {
        return { workload: own.name, kind: own.kind, isReady, isSynced, counters: telemetry.counters(own.id) };
      }),
    bypass: () => bypass.view(),
    daemon: () => ({
      revision: plane.applied?.revision ?? 0,
      reloads: loop.rounds,
      configErrors: plane.applied?.diagnostics.filter(({ severity }) => severity === "error").length ?? 0,
      uptimeMs: performance.now(),
    }),
  });
  return {
    status: () => buildStatus(input()),
    recount: async (withinMs) => buildStatus(input(await bypass.recount(withinMs))),
    missing: () => [...notReady(input()), ...mesh.renewals.missing],
    logs: (query, signal) => serviceLogs(logs, query, signal),
    reload: async () => {
      await world.relist();
      await loop.settled();
    },
    renew: async () => void mesh.renewals.run(),
    blockedPorts: () => listBlockedPorts(docker.engine, world.snapshot().containers),
    metrics: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
    down: async (onStep) => {
      await quiesce();
      await removeMesh(parts, docker, { identity, onStep });
      parts.onRemoved();
    },
  };
}
