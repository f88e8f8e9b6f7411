// Tells a living daemon from a dead and from a hung one, and clears the hung one out of the way.
import { setTimeout as delay } from "node:timers/promises";
import { type ApiClient, connectApi, pingTimeoutMs } from "./client.ts";
import { isAlive, killStale, type LockHolder, readLock } from "./lock.ts";
import type { Ping } from "./messages.ts";
import type { DaemonPaths } from "./paths.ts";
import { Problem } from "./problem.ts";

const retryEveryMs = 20;

export type FoundDaemon =
  | { readonly kind: "running"; readonly client: ApiClient; readonly holder: LockHolder; readonly ping: Ping }
  | { readonly kind: "absent" }
  /** Its process is there, and its API does not answer within 2 s (stopped, or stuck). */
  | { readonly kind: "hung"; readonly holder: LockHolder };

export async function findDaemon(paths: DaemonPaths, timeoutMs = pingTimeoutMs): Promise<FoundDaemon> {
  const holder = readLock(paths.lock);
  if (holder === null || !isAlive(holder)) return { kind: "absent" };
  const client = connectApi(holder.socket);
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return { kind: "running", client, holder, ping: await client.ping(deadline - performance.now()) };
    } catch {
      if (!isAlive(holder)) return { kind: "absent" };
      if (performance.now() + retryEveryMs > deadline) return { kind: "hung", holder };
      // One that has just taken the lock listens within milliseconds.
      await delay(retryEveryMs);
    }
  }
}

/** Ends a hung daemon, by pid and start time. Its proxies serve on. Throws Problem DM0201 when it does not go. */
export async function replaceStale(holder: LockHolder): Promise<void> {
  if (await killStale(holder)) return;
  throw new Problem("DM0201", `the old daemon (pid ${holder.pid}) hangs and cannot be ended`, `kill -9 ${holder.pid}`);
}
