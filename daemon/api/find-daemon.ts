// Tells a living daemon from a dead and from a hung one, and clears the hung one out of the way.
import { setTimeout as delay } from "node:timers/promises";
import { type ApiClient, connectApi, pingTimeoutMs } from "./client.ts";
import { isAlive, killStale, type LockHolder, readLock, startTimeOf } from "./lock.ts";
import type { Ping } from "./messages.ts";
import type { DaemonPaths } from "./paths.ts";
import { Problem } from "./problem.ts";

const retryEveryMs = 20;
/** A start waits for Docker, an end for connections to drain; neither takes longer on a busy machine. */
const phaseMaxMs = 60_000;
const endMaxMs = 5_000;

export type FoundDaemon =
  | { readonly kind: "running"; readonly client: ApiClient; readonly holder: LockHolder; readonly ping: Ping }
  | { readonly kind: "absent" }
  /** Its process is there, and its API does not answer within 2 s (stopped, or stuck). */
  | { readonly kind: "hung"; readonly holder: LockHolder };

/** One that is starting is waited for, and so is the end of one that is ending. */
export async function findDaemon(paths: DaemonPaths, timeoutMs = pingTimeoutMs): Promise<FoundDaemon> {
  const deadline = performance.now() + phaseMaxMs;
  for (;;) {
    const found = await lookOnce(paths, timeoutMs);
    const isChanging = found.kind === "running" && (found.ping.phase ?? "open") !== "open";
    if (!isChanging || performance.now() > deadline) return found;
    await delay(retryEveryMs);
  }
}

async function lookOnce(paths: DaemonPaths, timeoutMs: number): Promise<FoundDaemon> {
  const holder = readLock(paths.lock);
  if (holder === null) return await lookBehindLock(paths, timeoutMs);
  if (!isAlive(holder)) return { kind: "absent" };
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

/** Somebody may have removed the state folder of a daemon that runs: it still answers where it would listen. */
async function lookBehindLock({ socket }: DaemonPaths, timeoutMs: number): Promise<FoundDaemon> {
  const client = connectApi(socket);
  try {
    const ping = await client.ping(timeoutMs);
    const holder = { pid: ping.pid, startTime: startTimeOf(ping.pid), socket, version: ping.version };
    return { kind: "running", client, holder, ping };
  } catch {
    return { kind: "absent" };
  }
}

/** Ends a daemon, not its mesh: the proxies serve on. Throws Problem DM0201 when it does not go. */
export async function endDaemon(holder: LockHolder): Promise<void> {
  const deadline = performance.now() + endMaxMs;
  if (isAlive(holder)) process.kill(holder.pid, "SIGTERM");
  while (isAlive(holder) && performance.now() < deadline) await delay(retryEveryMs);
  await replaceStale(holder);
}

/** Resolves when the daemon of the project has ended by itself, and at the latest after 5 s. */
export async function waitEnded(holder: LockHolder | null): Promise<void> {
  const deadline = performance.now() + endMaxMs;
  while (holder !== null && isAlive(holder) && performance.now() < deadline) await delay(retryEveryMs);
}

/** Ends a hung daemon, by pid and start time. Its proxies serve on. Throws Problem DM0201 when it does not go. */
export async function replaceStale(holder: LockHolder): Promise<void> {
  if (await killStale(holder)) return;
  throw new Problem("DM0201", `the old daemon (pid ${holder.pid}) hangs and cannot be ended`, `kill -9 ${holder.pid}`);
}
