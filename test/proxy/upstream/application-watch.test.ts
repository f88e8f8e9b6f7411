import { expect, test } from "vitest";
import { ApplicationWatch } from "../../../proxy/upstream/application-watch.ts";
import { eventually } from "../../support/eventually.ts";

interface Bench {
  open: ReadonlySet<number> | null;
  looks: number;
  readonly told: (boolean | null)[];
  readonly watch: ApplicationWatch;
}

function bench(open: readonly number[] | null): Bench {
  const it: Bench = {
    open: open === null ? null : new Set(open),
    looks: 0,
    told: [],
    watch: new ApplicationWatch({
      listening: () => {
        it.looks++;
        return it.open;
      },
      onChange: (listens) => it.told.push(listens),
    }),
  };
  return it;
}

test("an application that starts late is told as not listening, then as listening, once each", async () => {
  const it = bench([]);
  await using watch = it.watch;
  watch.follow([8080]);
  expect(it.told).toEqual([false]);
  it.open = new Set([8080]);
  await eventually(() => expect(it.told).toEqual([false, true]));
});

test("an application that listens is not looked at again before something is refused", async () => {
  const it = bench([8080]);
  await using watch = it.watch;
  watch.follow([8080]);
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(it.looks).toBe(1);
  it.open = new Set();
  watch.refused();
  expect(it.told).toEqual([true, false]);
  it.open = new Set([8080]);
  await eventually(() => expect(it.told).toEqual([true, false, true]));
});

test("one open port of several is enough, and refusals on another cost one look in 100 ms", async () => {
  const it = bench([9090]);
  await using watch = it.watch;
  watch.follow([8080, 9090]);
  for (let i = 0; i < 1000; i++) watch.refused();
  expect(it.told).toEqual([true]);
  expect(it.looks).toBeLessThan(20);
});

test.for([
  ["without known ports", [8080], []],
  ["where the kernel does not tell", null, [8080]],
] as const)("%s nothing is claimed", async ([_why, open, ports]) => {
  const it = bench(open);
  await using watch = it.watch;
  watch.follow(ports);
  expect(watch.listens).toBe(null);
  expect(it.told).toEqual([]);
});
