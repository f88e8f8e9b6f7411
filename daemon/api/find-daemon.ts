// Tells a living daemon from a dead and from a hung one, and clears the hung one out of the way.
import { type ApiClient, connectApi, pingTimeoutMs } from "./client.ts";
import { isAlive, killStale, type LockHolder, readLock } from "./lock.ts";
import type { Ping } from "./messages.ts";
import type { DaemonPaths } from "./paths.ts";
import { Problem } from "./problem.ts";

export type FoundDaemon =
  | { readonly kind: "running"; readonly client: ApiClient; readonly holder: LockHolder; readonly ping: Ping }
  | { readonly kind: "absent" }
  /** Its process is there, and its API does not answer within 2 s (stopped, or stuck). */
  | { readonly kind: "hung"; readonly holder: LockHolder };

export async function findDaemon(paths: DaemonPaths, timeoutMs = pingTimeoutMs): Promise<FoundDaemon> {
  const holder = readLock(paths.lock);
  if (holder === null || !isAlive(holder)) return { kind: "absent" };
  const client = connectApi(holder.socket);
  try {
    return { kind: "running", client, holder, ping: await client.ping(timeoutMs) };
  } catch {
    return isAlive(holder) ? { kind: "hung", holder } : { kind: "absent" };
  }
}

/** Ends a hung daemon, by pid and start time. Its proxies serve on. Throws Problem DM0201 when it does not go. */
export async function replaceStale(holder: LockHolder): Promise<void> {
  if (await killStale(holder)) return;
  throw new Problem("DM0201", `the old daemon (pid ${holder.pid}) hangs and cannot be ended`, `kill -9 ${holder.pid}`);
}
