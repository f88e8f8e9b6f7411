// One daemon per project: a lock file with the holder's pid and start time, so that a reused pid is never taken for it.
import { execFileSync } from "node:child_process";
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import * as z from "zod";
import { makeFolder } from "./make-folder.ts";
import { Problem } from "./problem.ts";

const holderSchema = z.object({
  pid: z.number().int().positive(),
  /** Opaque; equal for the same process. Null where the platform does not tell. */
  startTime: z.string().nullable(),
  /** Where its API listens. */
  socket: z.string(),
  version: z.string(),
});

export type LockHolder = z.infer<typeof holderSchema>;

/** How long a killed process may take to vanish: one in uninterruptible sleep needs its I/O to end. */
const killWaitMs = 3_000;
const attemptsMax = 20;

/** Null when nobody holds it, or the file is damaged. The holder may be dead: ask `isAlive`. */
export function readLock(file: string): LockHolder | null {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}

/** Null when taken; else the living holder. Locks of dead processes are removed on the way. */
export function tryLock(file: string, own: LockHolder): LockHolder | null {
  for (let attempt = 1; ; attempt++) {
    mkdirForLock(file);
    try {
      return tryLockIn(file, own);
    } catch (error) {
      // A daemon that has just ended took its empty folder away under us.
      const isGone = (error as NodeJS.ErrnoException).code === "ENOENT" && attempt < attemptsMax;
      if (!isGone) throw lockProblem(error, file);
    }
  }
}

function lockProblem(error: unknown, file: string): unknown {
  if (error instanceof Problem) return error;
  const code = (error as NodeJS.ErrnoException).code;
  return new Problem("DM0402", `cannot write ${file}: ${code ?? error}`, "see XDG_STATE_HOME");
}

/** Throws the file system's error. */
function tryLockIn(file: string, own: LockHolder): LockHolder | null {
  const draft = `${file}.${own.pid}.draft`;
  try {
    writeFileSync(draft, `${JSON.stringify(own)}\n`, { mode: 0o600 });
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      // A link appears with its whole text or not at all, and fails when the name is there.
      if (tryLink(draft, file)) return null;
      const holder = readLock(file);
      if (holder !== null && isAlive(holder)) return holder;
      removeStale(file, holder, own.pid);
    }
  } finally {
    rmSync(draft, { force: true });
  }
  throw new Problem("DM0402", `cannot take ${file}`, "remove it when no devmesh daemon runs");
}

function mkdirForLock(file: string): void {
  try {
    makeFolder(dirname(file));
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    throw new Problem(
      "DM0402",
      `cannot make ${dirname(file)}: ${code}`,
      "set XDG_STATE_HOME to a folder you can write",
    );
  }
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

/** Two starters may both have seen the dead holder: whoever moves a fresh lock by mistake puts it back. */
function removeStale(file: string, seen: LockHolder | null, pid: number): void {
  const aside = `${file}.${pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
    throw error;
  }
  const moved = readLock(aside);
  if (moved !== null && (moved.pid !== seen?.pid || moved.startTime !== seen.startTime)) tryLink(aside, file);
  rmSync(aside, { force: true });
}

/** False when the lock was removed, or another process has it. */
export function holdsLock(file: string, own: LockHolder): boolean {
  const holder = readLock(file);
  return holder?.pid === own.pid && holder.startTime === own.startTime;
}

/** Removes the lock when this process holds it. */
export function unlock(file: string, own: LockHolder): void {
  if (holdsLock(file, own)) rmSync(file, { force: true });
}

export function isAlive(holder: Pick<LockHolder, "pid" | "startTime">): boolean {
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    // EPERM: there is such a process, of another user.
    if ((error as NodeJS.ErrnoException).code !== "EPERM") return false;
  }
  return holder.startTime === null || startTimeOf(holder.pid) === holder.startTime;
}

/**
 * Ends a daemon that does not answer. SIGKILL, since a stopped process handles nothing else; its proxies keep serving.
 * False when it is still there after 3 s.
 */
export async function killStale(holder: LockHolder): Promise<boolean> {
  const deadline = performance.now() + killWaitMs;
  while (isAlive(holder)) {
    if (performance.now() > deadline) return false;
    try {
      process.kill(holder.pid, "SIGKILL");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") return false;
    }
    await delay(10);
  }
  return true;
}

/** Null when the process is gone (or a zombie), or the platform does not tell. */
export function startTimeOf(pid: number): string | null {
  if (process.platform === "linux") return linuxStartTime(pid);
  if (process.platform === "win32") return null;
  try {
    return execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8", env: { LC_ALL: "C" } }).trim();
  } catch {
    return null;
  }
}

/** proc(5): field 22 in clock ticks since boot, so the boot's id goes with it. The name in field 2 may hold anything. */
function linuxStartTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields[0] === "Z" || fields[0] === "X") return null;
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "latin1").trim();
    return `${boot} ${fields[19]}`;
  } catch {
    return null;
  }
}
