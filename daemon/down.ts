// A daemon for `down` alone, where none runs: it removes what a killed one left, and attaches nothing on the way.
import { Problem } from "./api/problem.ts";
import { identityFor, openDocker, removeMesh } from "./docker-parts.ts";
import type { DaemonParts } from "./main.ts";
import type { OpenedMesh } from "./mesh.ts";
import { readInForce } from "./state/in-force.ts";

/** The command that asked may have been interrupted before it said `down`; an `up` waits for this daemon's end. */
const waitMs = 10_000;

export async function openForDown(parts: DaemonParts): Promise<OpenedMesh> {
  const { options, paths, backend } = parts;
  const docker = await openDocker(parts);
  const mesh = (await readInForce(paths.inForce, options.version))?.mesh ?? options.project;
  const timer = setTimeout(() => parts.end(0), waitMs);
  const refuse = (): never => {
    throw new Problem("DM0201", "this daemon only takes the mesh down", "start the mesh with devmesh up");
  };
  const down = async (onStep: (text: string) => void): Promise<void> => {
    clearTimeout(timer);
    await removeMesh(parts, docker, { identity: identityFor(parts, mesh), onStep });
    parts.onRemoved();
  };
  backend.open(
    {
      status: refuse,
      recount: refuse,
      missing: refuse,
      logs: refuse,
      reload: refuse,
      blockedPorts: refuse,
      renew: refuse,
      metrics: refuse,
      down,
    },
    "ending",
  );
  return {
    close: async () => {
      clearTimeout(timer);
      await docker.engine.close();
    },
  };
}
