// How long an edit takes until traffic obeys it: told from the requests themselves, proxy by proxy.
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "./eventually.ts";
import { Load, type Sent } from "./load.ts";
import type { Language, ReloadProject, Weights } from "./reload-project.ts";

export interface Edit {
  /** Wall clock just before the file was written. */
  readonly savedAt: number;
  /** Name of the application that alone is to answer from then on. */
  readonly name: string;
}

/** Requests a second of each caller. */
const rate = 80;
/** Pauses between edits, so that they meet the traffic at any moment. */
const pauseMsMax = 40;
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
    // What was still open at the next save may have been decided by that one.
    const window = inOrder.filter(({ start, end }) => start >= savedAt && end < until);
    const lastOld = window.findLastIndex((one) => one.name !== name);
    return (window[lastOld + 1]?.start ?? Number.POSITIVE_INFINITY) - savedAt;
  });
}

/** Nearest rank. */
export function percentile(values: readonly number[], ratio: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * ratio) - 1)] ?? Number.NaN;
}

export interface EditedUnderLoad {
  /** Of all callers together, in no order. */
  readonly sent: readonly Sent[];
  /** Requests per second that were really sent. */
  readonly rate: number;
  /** Milliseconds from a save until a proxy obeyed: one for each edit and each of the three proxies. */
  readonly times: readonly number[];
}

/**
 * Moves payment's traffic from one version to the other and back while requests come by the sidecars of two containers and
 * by the gateway. The project is up, and all traffic goes to payment-v1.
 */
export async function editUnderLoad(
  { project, url, meshText }: ReloadProject,
  { edits, language }: { readonly edits: number; readonly language: Language },
): Promise<EditedUnderLoad> {
  const containers = await Promise.all(["client", "other"].map((service) => project.container(service)));
  const loads = await Promise.all([
    ...containers.map((container) => Load.inContainer(container, { url: "http://payment:8080/", rate })),
    Load.onHost({ url, rate }),
  ]);
  const done: Edit[] = [];
  try {
    for (let i = 0; i < edits; i++) {
      const [weights, name]: [Weights, string] = i % 2 === 0 ? [[0, 100], "payment-v2"] : [[100, 0], "payment-v1"];
      const edit = { savedAt: Date.now(), name };
      project.write("mesh.yaml", meshText(weights, language));
      done.push(edit);
      await waitForEffect(loads, edit);
      await delay(Math.random() * pauseMsMax);
    }
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
  const sent = loads.flatMap((load) => load.sent);
  const seconds = (Math.max(...sent.map(({ end }) => end)) - Math.min(...sent.map(({ start }) => start))) / 1000;
  return { sent, rate: sent.length / seconds, times: loads.flatMap((load) => effectTimes(load.sent, done)) };
}
