// Waits for the first complete World, with a limit in time and words for what it means when there is none.
import { Problem } from "./api/problem.ts";
import type { WorldWatch } from "./docker/world-watch.ts";

/** An engine that has answered lists its containers well within this. */
const firstListMs = 20_000;

/** Throws Problem DM0101. */
export async function firstList(world: WorldWatch): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>();
  const late = new Problem("DM0101", "Docker answers, but does not list its containers", "look at its log");
  const timer = setTimeout(() => reject(late), firstListMs);
  try {
    await Promise.race([world.ready, promise]);
  } finally {
    clearTimeout(timer);
  }
}
