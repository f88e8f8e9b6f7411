// The connection to Docker as the options ask for it, and whose mesh this is.

import { rm } from "node:fs/promises";
import { type DaemonOptions, withoutDocker } from "./api/options.ts";
import type { DaemonPaths } from "./api/paths.ts";
import { Problem } from "./api/problem.ts";
import { connectEngine, type Engine } from "./docker/engine.ts";
import { ofThisMesh } from "./docker/engine-problem.ts";
import { type PauseJournal, releaseLeftovers } from "./docker/hold.ts";
import { type EngineFacts, readEngineFacts } from "./docker/image.ts";
import type { MeshIdentity } from "./docker/labels.ts";
import { tearDown } from "./docker/teardown.ts";
import type { DaemonParts } from "./main.ts";
import { knownComposeSubnets } from "./spec/compose-subnets.ts";
import { openPauseJournal } from "./state/pause-journal.ts";

export interface DockerParts {
  readonly engine: Engine;
  readonly facts: EngineFacts;
  readonly journal: PauseJournal;
  /** Subnets that the compose files give to networks which compose has not made yet: the mesh starts before them. */
  readonly reservedSubnets: readonly string[];
}

/** Unpauses what a killed daemon had frozen. Throws Problem DM0101 to DM0103 when no engine answers. */
export async function openDocker({ options, paths, log, writer }: DaemonParts): Promise<DockerParts> {
  const engine = await connectAs(options);
  try {
    const [facts, journal] = await Promise.all([readEngineFacts(engine), openPauseJournal(paths.journal, writer)]);
    const released = await releaseLeftovers(engine, journal);
    if (released.length > 0) log.warn({ released }, "unpaused what an earlier daemon had held");
    return { engine, facts, journal, reservedSubnets: knownComposeSubnets(options.composeFiles) };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** What the environment says now does not count: a mesh stays with the engine that it was started on. */
export async function connectAs({
  dockerEnv,
  engineEnv,
}: Pick<DaemonOptions, "dockerEnv" | "engineEnv">): Promise<Engine> {
  if (engineEnv !== undefined) {
    return await connectEngine({ ...withoutDocker(process.env), ...dockerEnv, ...engineEnv }, { source: ofThisMesh });
  }
  return await connectEngine({ ...withoutDocker(process.env), ...dockerEnv });
}

export function identityFor(
  { options, paths }: { readonly options: DaemonOptions; readonly paths: DaemonPaths },
  mesh: string,
): MeshIdentity {
  return { mesh, project: options.project, stateId: paths.key };
}

/** Removes the whole mesh and forgets that it was up. Throws Problem DM0001 with what was left over. */
export async function removeMesh(
  { options, paths }: Pick<DaemonParts, "options" | "paths">,
  docker: DockerParts,
  { identity, onStep }: { readonly identity: MeshIdentity; onStep(text: string): void },
): Promise<void> {
  const problems = await tearDown({ ...docker, identity, image: options.image, onProgress: onStep });
  if (problems.length > 0) {
    throw new Problem("DM0001", `not everything could be removed: ${problems.join("; ")}`, "run devmesh down again");
  }
  // Without these no command takes the mesh for one that is up and has lost its daemon.
  await rm(paths.options, { force: true });
  await rm(paths.inForce, { force: true });
}
