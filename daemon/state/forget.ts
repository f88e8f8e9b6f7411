// Takes away what a project's state folder holds, once its mesh is gone: a key that nobody uses is only a risk.
import { readdir, rm, rmdir } from "node:fs/promises";
import { basename, join } from "node:path";
import type { DaemonPaths } from "../api/paths.ts";

/**
 * For the holder of the lock, which stays, as the log does when it is still to be read. Files alone are removed: nothing of
 * ours is a folder. Throws the file system's error.
 */
export async function forgetState(paths: DaemonPaths, { isLogKept }: { readonly isLogKept: boolean }): Promise<void> {
  const kept = [basename(paths.lock), ...(isLogKept ? [basename(paths.log)] : [])];
  for (const name of await readdir(paths.stateFolder)) {
    if (!kept.some((prefix) => name.startsWith(prefix))) await rm(join(paths.stateFolder, name), { force: true });
  }
}

/** For `down` on a full disk, whose lock would not go in: what it removes last goes first. */
export async function makeRoom({ log, adoption }: DaemonPaths): Promise<void> {
  for (const file of [`${log}.1`, log, adoption]) await rm(file, { force: true });
}

/** After the lock was let go. A folder in which another daemon has begun stays as it is. */
export async function removeStateFolder({ stateFolder }: DaemonPaths): Promise<void> {
  try {
    await rmdir(stateFolder);
  } catch (error) {
    const { code = "" } = error as NodeJS.ErrnoException;
    if (!["ENOTEMPTY", "EEXIST", "ENOENT"].includes(code)) throw error;
  }
}
