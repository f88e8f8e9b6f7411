// Waits for a condition instead of a time: polls until the check passes, and fails with its last error at the deadline.
import { setTimeout as delay } from "node:timers/promises";

export async function eventually<T>(check: () => T | Promise<T>, timeoutMs = 10_000, everyMs = 20): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() > deadline) throw error;
      await delay(everyMs);
    }
  }
}
