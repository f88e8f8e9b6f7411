import { expect, test } from "vitest";
import { LineMerge } from "../../../daemon/docker/line-merge.ts";
import { eventually } from "../../support/eventually.ts";

async function* listed(lines: readonly string[]): AsyncGenerator<string> {
  yield* lines;
}

/** Ends on its signal alone. */
async function* open(signal: AbortSignal, line: string): AsyncGenerator<string> {
  yield line;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

async function all(merge: LineMerge<string>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of merge.lines()) lines.push(line);
  return lines;
}

test("ends when every source has and nothing more is to come", async () => {
  const merge = new LineMerge<string>();
  merge.add(() => listed(["a", "b"]));
  merge.add(() => listed(["c"]));
  merge.complete();
  expect((await all(merge)).sort()).toEqual(["a", "b", "c"]);
});

test("takes sources that come later, and ends all of them on its signal", async () => {
  const stop = new AbortController();
  const merge = new LineMerge<string>(stop.signal);
  const ended: string[] = [];
  const lines: string[] = [];
  const reading = (async () => {
    for await (const line of merge.lines()) lines.push(line);
  })();
  for (const name of ["first", "second"]) {
    merge.add(
      (signal) => open(signal, name),
      () => ended.push(name),
    );
    await eventually(() => expect(lines.at(-1)).toBe(name));
  }
  stop.abort();
  await reading;
  expect(ended.sort()).toEqual(["first", "second"]);
});

test("the error of one source is the reader's, and ends the others", async () => {
  const merge = new LineMerge<string>();
  const ended = Promise.withResolvers<void>();
  merge.add((signal) => open(signal, "a"), ended.resolve);
  merge.add(() => {
    throw new Error("gone");
  });
  await expect(all(merge)).rejects.toThrow("gone");
  await ended.promise;
});

test("a source waits while nobody takes its lines", async () => {
  const merge = new LineMerge<string>();
  let produced = 0;
  merge.add(async function* () {
    for (; produced < 5_000; produced++) yield String(produced);
  });
  merge.complete();
  const lines = merge.lines();
  await lines.next();
  // Turns of the event loop in which a source that does not wait would have run to its end.
  for (let i = 0; i < 100; i++) await new Promise(setImmediate);
  expect(produced).toBeLessThan(2_500);
  let taken = 1;
  for await (const _line of lines) taken++;
  expect(taken).toBe(5_000);
});
