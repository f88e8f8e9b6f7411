// Becomes the one daemon of a project: an older one that answers stays, one that hangs is ended first.
import { endDaemon, findDaemon, replaceStale } from "./api/find-daemon.ts";
import { type LockHolder, readLock, startTimeOf, tryLock } from "./api/lock.ts";
import type { DaemonPaths } from "./api/paths.ts";
import { Problem } from "./api/problem.ts";

const attemptsMax = 5;

export type Taken =
  | { readonly kind: "taken"; readonly own: LockHolder }
  /** Another daemon of the project is alive and answers. */
  | { readonly kind: "running"; readonly holder: LockHolder };

export async function takeLock(paths: DaemonPaths, version: string): Promise<Taken> {
  const own = { pid: process.pid, startTime: startTimeOf(process.pid), socket: paths.socket, version };
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    // Without a lock one may still run: its state folder was removed under it. It ends itself as soon as it notices, so it is
    // no daemon to hand out; its proxies serve on.
    const unlocked = readLock(paths.lock) === null ? await findDaemon(paths) : null;
    if (unlocked?.kind === "running") await endDaemon(unlocked.holder);
    if (tryLock(paths.lock, own) === null) return { kind: "taken", own };
    const found = await findDaemon(paths);
    if (found.kind === "running") return { kind: "running", holder: found.holder };
    if (found.kind === "hung") await replaceStale(found.holder);
  }
  throw new Problem("DM0201", `another daemon keeps taking ${paths.lock}`, "try again");
}
