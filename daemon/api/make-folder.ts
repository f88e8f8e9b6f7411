// Makes a folder and what lies above it.
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Mode 0700 for each that is made. One that is there is fine. Throws the file system's error; Node's own `recursive` never
 * returns where a folder can be looked at but holds no others (/proc, some network mounts: seen with Node 24).
 */
export function makeFolder(folder: string): void {
  const missing = make(folder);
  if (missing === null) return;
  if (dirname(folder) === folder) throw missing;
  makeFolder(dirname(folder));
  const still = make(folder);
  if (still !== null) throw still;
}

/** Null when it is there now; the error when what lies above it is not. */
function make(folder: string): Error | null {
  try {
    mkdirSync(folder, { mode: 0o700 });
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EEXIST") return null;
    if (code === "ENOENT") return error as Error;
    throw error;
  }
}
