// Where the daemon keeps its things. Never under the project: a container that mounts it would read the CA's key.
import { createHash } from "node:crypto";
import { chmodSync, lstatSync, realpathSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, isAbsolute, join, relative, sep } from "node:path";
import { makeFolder } from "./make-folder.ts";
import { Problem } from "./problem.ts";

/** macOS has 104 bytes for a socket's path with its end, Linux 108: the smaller holds everywhere. */
export const socketPathBytesMax = 103;

export interface DaemonPaths {
  /** 12 hex digits: one per project and folder. */
  readonly key: string;
  readonly stateFolder: string;
  readonly runtimeFolder: string;
  /** Unix socket, or a named pipe on Windows. The lock names the one that a running daemon really listens on. */
  readonly socket: string;
  readonly lock: string;
  readonly options: string;
  readonly log: string;
  readonly root: string;
  readonly addresses: string;
  readonly journal: string;
  readonly epoch: string;
  /** What is in force, for a daemon that is revived: the mesh's name and the last good Spec. */
  readonly inForce: string;
  /** Who served, for the same. */
  readonly adoption: string;
}

export interface PathInput {
  readonly project: string;
  readonly projectDir: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly platform?: NodeJS.Platform;
}

/** Pure but for looking at folders: makes nothing. `makeRuntimeFolder` does, before the socket is bound. */
export function daemonPaths({
  project,
  projectDir,
  env = process.env,
  platform = process.platform,
}: PathInput): DaemonPaths {
  const key = createHash("sha256")
    .update(`${project}\n${realFolder(projectDir)}`)
    .digest("hex")
    .slice(0, 12);
  const stateFolder = join(meshesFolder(env, platform), key);
  const runtimeFolder = runtimeFolderOf(env, key);
  return {
    key,
    stateFolder,
    runtimeFolder,
    socket: platform === "win32" ? `\\\\.\\pipe\\devmesh-${key}` : join(runtimeFolder, `${key}.sock`),
    lock: join(stateFolder, "lock.json"),
    options: join(stateFolder, "options.json"),
    log: join(stateFolder, "daemon.log"),
    root: join(stateFolder, "root.pem"),
    addresses: join(stateFolder, "addresses.json"),
    journal: join(stateFolder, "paused.json"),
    epoch: join(stateFolder, "epoch.json"),
    inForce: join(stateFolder, "in-force.json"),
    adoption: join(stateFolder, "adoption.json"),
  };
}

/**
 * Throws Problem DM0402 when state or sockets would lie in the project (it is the home folder, say): a container that mounts
 * the project would read the CA's key and drive the daemon.
 */
export function assertOutsideProject({ stateFolder, runtimeFolder }: DaemonPaths, projectDir: string): void {
  const project = realFolder(projectDir);
  const folders = { XDG_STATE_HOME: stateFolder, XDG_RUNTIME_DIR: runtimeFolder };
  for (const [variable, folder] of Object.entries(folders)) {
    if (!isWithin(realAncestor(folder), project)) continue;
    const message = `${folder} lies in the project ${project}: a container that mounts it would read the mesh's keys`;
    throw new Problem("DM0402", message, `set ${variable} to a folder outside of the project`);
  }
}

function isWithin(folder: string, project: string): boolean {
  const way = relative(project, folder);
  return !isAbsolute(way) && way !== ".." && !way.startsWith(`..${sep}`);
}

/** Links resolved as far as the path exists. */
function realAncestor(path: string): string {
  const parent = dirname(path);
  if (parent === path) return path;
  try {
    return realpathSync(path);
  } catch {
    return join(realAncestor(parent), basename(path));
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/** Has one folder for each project: its name is the project's key. */
export function meshesFolder(env: NodeJS.ProcessEnv = process.env, platform = process.platform): string {
  return join(stateHome(env, platform), "devmesh");
}

/** XDG base directory specification: a relative value is ignored. */
function stateHome(env: NodeJS.ProcessEnv, platform: NodeJS.Platform): string {
  const set = env.XDG_STATE_HOME;
  if (set?.startsWith("/")) return set;
  if (platform === "win32" && env.LOCALAPPDATA !== undefined) return env.LOCALAPPDATA;
  return join(env.HOME ?? homedir(), ".local", "state");
}

/** After `su` or `sudo` XDG_RUNTIME_DIR often names a folder of somebody else, or one that is gone. */
function runtimeFolderOf(env: NodeJS.ProcessEnv, key: string): string {
  const base = env.XDG_RUNTIME_DIR;
  const fallback = `/tmp/devmesh-${process.getuid?.() ?? 0}`;
  if (!base?.startsWith("/") || !isOwnFolder(base)) return fallback;
  const folder = join(base, "devmesh");
  return Buffer.byteLength(join(folder, `${key}.sock`)) <= socketPathBytesMax ? folder : fallback;
}

function isOwnFolder(folder: string): boolean {
  try {
    const found = statSync(folder);
    return found.isDirectory() && (process.getuid === undefined || found.uid === process.getuid());
  } catch {
    return false;
  }
}

/**
 * Makes the folder for sockets, 0700. Anybody may have made a folder of that name in /tmp before us, or a link:
 * throws Problem DM0402 unless it is a real folder of this user's.
 */
export function makeRuntimeFolder(folder: string): void {
  if (process.platform === "win32") return;
  try {
    makeFolder(folder);
    const found = lstatSync(folder);
    if (!found.isDirectory() || found.uid !== process.getuid?.()) {
      throw new Problem("DM0402", `${folder} belongs to somebody else`, "remove it, or set XDG_RUNTIME_DIR");
    }
    if ((found.mode & 0o077) !== 0) chmodSync(folder, 0o700);
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem(
      "DM0402",
      `cannot make ${folder}: ${(error as NodeJS.ErrnoException).code}`,
      "set XDG_RUNTIME_DIR",
    );
  }
}
