// Files that must survive a crash: written beside, flushed, renamed over. A reader sees the old text or the new one.
import { randomBytes } from "node:crypto";
import { mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import type * as z from "zod";
import { Problem } from "../api/problem.ts";

const unwritable = new Set(["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "ENOTDIR"]);

export interface WriteOptions {
  /** False: survives the end of this process, not a power cut; saves the wait for the disk. */
  readonly isFlushed: boolean;
}

/** Mode 0600. Throws Problem DM0402 when the folder cannot be written (disk full, permissions). */
export async function writeFileAtomic(file: string, text: string, options?: WriteOptions): Promise<void> {
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString("hex")}.tmp`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    const handle = await open(temporary, "wx", 0o600);
    try {
      await handle.writeFile(text);
      if (options?.isFlushed !== false) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw storageProblem(error, file);
  }
}

/** Turns a file system error into what a person can act on; anything else comes back as it was. */
export function storageProblem(error: unknown, file: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === undefined || !unwritable.has(code)) return error;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return new Problem(
    "DM0402",
    `cannot write ${file}: ${isFull ? "the disk is full" : `${code}`}`,
    isFull
      ? "free some space, or set XDG_STATE_HOME to a folder on another disk"
      : "check the folder's owner and permissions, or set XDG_STATE_HOME to a folder you can write",
  );
}

export async function writeJson(file: string, value: unknown, options?: WriteOptions): Promise<void> {
  await writeFileAtomic(file, `${JSON.stringify(value, null, 2)}\n`, options);
}

/** Null when the file is missing, or does not hold what `schema` asks for: state is remade, never trusted. */
export async function readJson<S extends z.ZodType>(file: string, schema: S): Promise<z.infer<S> | null> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw storageProblem(error, file);
  }
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
