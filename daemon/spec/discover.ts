// Finds mesh.yaml: --file, then DEVMESH_FILE, then the folder and its parents up to the root of the git repository.
import { statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { Problem } from "../api/problem.ts";

export const specFileNames: readonly string[] = ["mesh.yaml", "mesh.yml", "devmesh.yaml"];

export interface DiscoverOptions {
  readonly cwd: string;
  /** --file, as typed. */
  readonly file?: string | undefined;
  /** The environment, of which DEVMESH_FILE counts. */
  readonly env: { readonly DEVMESH_FILE?: string | undefined };
}

/**
 * Absolute path, or null when there is none (a mesh needs none). A named file is not looked at here: reading it says what is wrong with it.
 * Throws a Problem (DM0003) when one folder has two candidates, or the first may not be looked into.
 */
export function discoverMeshFile({ cwd, file, env }: DiscoverOptions): string | null {
  if (file === "") throw new Problem("DM0002", "--file is empty", "name a file, or leave --file out");
  const named = file ?? (env.DEVMESH_FILE || undefined);
  if (named !== undefined) return resolve(cwd, named);
  for (const folder of foldersToSearch(resolve(cwd))) {
    const [first, second, ...rest] = specFileNames.filter((name) => exists(join(folder, name)));
    if (first === undefined) continue;
    if (second !== undefined) {
      throw new Problem(
        "DM0003",
        `${folder} has ${[first, second, ...rest].join(" and ")}`,
        "keep one of them, or choose with --file",
      );
    }
    return join(folder, first);
  }
  return null;
}

/** The folder and its parents up to the one with .git; outside of a repository only the folder, so that nothing of a stranger's above it is read. */
function foldersToSearch(cwd: string): readonly string[] {
  const folders: string[] = [];
  for (let folder = cwd; ; folder = dirname(folder)) {
    folders.push(folder);
    if (exists(join(folder, ".git"))) return folders;
    if (dirname(folder) === folder) return [cwd];
  }
}

function exists(path: string): boolean {
  try {
    statSync(path);
    return true;
  } catch (error) {
    // Not the file's own permissions but those of a folder above it.
    if (error instanceof Error && "code" in error && error.code === "EACCES") {
      throw new Problem("DM0003", `no permission to look into ${dirname(path)}`, "name the file with --file");
    }
    return false;
  }
}
