// How long an edit takes until traffic obeys it: told from the requests themselves, proxy by proxy.
import { eventually } from "./eventually.ts";
import type { Load, Sent } from "./load.ts";

export interface Edit {
  /** Wall clock just before the file was written. */
  readonly savedAt: number;
  /** Name of the application that alone is to answer from then on. */
  readonly name: string;
}

/** The newest answers of each load that must agree before an edit counts as seen. */
const agreeing = 5;

/** Waits until every load is answered by `edit.name` alone: a moment after it is in effect on each of their proxies. */
export async function waitForEffect(loads: readonly Load[], edit: Edit): Promise<void> {
  await eventually(
    () => {
      for (const { sent } of loads) {
        const last = sent.slice(-agreeing);
        const isDone = last.every(({ start, name }) => start >= edit.savedAt && name === edit.name);
        if (!isDone) throw new Error(`not all answers are ${edit.name}'s: ${JSON.stringify(last)}`);
      }
    },
    10_000,
    5,
  );
}

/**
 * For each edit the time from the save until the first request from which on all were answered by the new application:
 * an upper bound, since between two requests nothing can be seen.
 */
export function effectTimes(sent: readonly Sent[], edits: readonly Edit[]): number[] {
  const inOrder = [...sent].sort((a, b) => a.start - b.start);
  return edits.map(({ savedAt, name }, i) => {
    const until = edits[i + 1]?.savedAt ?? Number.POSITIVE_INFINITY;
    const window = inOrder.filter(({ start }) => start >= savedAt && start < until);
    const lastOld = window.findLastIndex((one) => one.name !== name);
    return (window[lastOld + 1]?.start ?? Number.POSITIVE_INFINITY) - savedAt;
  });
}

export function percentile(values: readonly number[], ratio: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * ratio))] ?? Number.NaN;
}
