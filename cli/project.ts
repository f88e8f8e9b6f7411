// Which project a command is about: its folder, its mesh.yaml, its compose files and its name.
import { existsSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { readOptionsOf } from "../daemon/api/options.ts";
import { meshesFolder } from "../daemon/api/paths.ts";
import { Problem } from "../daemon/api/problem.ts";
import { knownComposeServices } from "../daemon/spec/compose-services.ts";
import { discoverMeshFile } from "../daemon/spec/discover.ts";
import { readSpecFile } from "../daemon/spec/load.ts";
import type { LoadedSpec } from "../daemon/spec/spec.ts";
import { namedProject, projectName, usualComposeFiles } from "./compose.ts";

export interface ProjectInput {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly file: string | undefined;
  readonly name: string | undefined;
}

export interface Project {
  /** Folder of mesh.yaml, else of the compose file, else the current one. */
  readonly folder: string;
  readonly name: string;
  /** Absolute, or null. */
  readonly meshFile: string | null;
  readonly composeFiles: readonly string[];
  readonly knownServices: readonly string[] | null;
  /** What mesh.yaml says, read once for this command; null without a file. */
  readonly loaded: LoadedSpec | null;
}

export async function resolveProject({ cwd, env, file, name }: ProjectInput): Promise<Project> {
  const meshFile = discoverMeshFile({ cwd, env, file });
  const folder = meshFile === null ? cwd : dirname(meshFile);
  const read = async (knownServices: readonly string[] | null): Promise<LoadedSpec | null> =>
    meshFile === null ? null : await readSpecFile(meshFile, { file: shown(meshFile, cwd), knownServices });
  const draft = await read(null);
  const listed = draft?.kind === "ok" ? draft.spec.compose : null;
  const composeFiles = listed === null ? usualComposeFiles(folder, env) : listed.map((path) => resolve(folder, path));
  for (const path of composeFiles) {
    if (existsSync(path)) continue;
    throw new Problem("DM0003", `${path} does not exist`, "mesh.yaml's compose: (or COMPOSE_FILE) names it");
  }
  const knownServices = composeFiles.length === 0 ? null : knownComposeServices(composeFiles);
  // With the services known, a mistyped one is found now and not when nothing happens.
  const loaded = await read(knownServices);
  const resolved = await projectName({ flag: name, composeFiles, folder, env });
  return { folder, name: resolved, meshFile, composeFiles, knownServices, loaded };
}

/**
 * As resolveProject, but a mesh of this folder that is up says itself what its project is, so that a broken or missing
 * mesh.yaml or compose file is no matter.
 */
export async function resolveMeshProject(input: ProjectInput): Promise<Project> {
  const { env, name } = input;
  const meshFile = discoverMeshFile(input);
  const folder = meshFile === null ? input.cwd : dirname(meshFile);
  const named = name ?? namedProject(folder, env);
  const up = readOptionsOf(folder, meshesFolder(env)).filter(({ project }) => named === undefined || project === named);
  const [only] = up;
  if (only === undefined || up.length > 1) return await resolveProject(input);
  const { project, composeFiles, knownServices } = only;
  const there = composeFiles.filter((file) => existsSync(file));
  return { folder, name: project, meshFile: only.meshFile, composeFiles: there, knownServices, loaded: null };
}

/** As people would write it: relative to where they stand. */
function shown(path: string, cwd: string): string {
  const short = relative(cwd, path);
  return short.startsWith("..") ? path : short;
}
