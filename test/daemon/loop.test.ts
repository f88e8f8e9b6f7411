import { setImmediate as turn } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { ReloadLoop } from "../../daemon/loop.ts";
import { eventually } from "../support/eventually.ts";

function start(round: () => Promise<void> = async () => undefined) {
  const errors: unknown[] = [];
  const loop = new ReloadLoop({ round, onError: (error) => errors.push(error) });
  onTestFinished(() => loop.close());
  return { loop, errors };
}

test("many signals together are one round", async () => {
  const { loop } = start();
  for (let i = 0; i < 100; i++) loop.signal();
  await loop.settled();
  expect(loop.rounds).toBe(1);
});

test("steady signals do not put a round off", async () => {
  const { loop } = start();
  const until = performance.now() + 200;
  while (performance.now() < until) {
    loop.signal();
    await turn();
  }
  expect(loop.rounds).toBeGreaterThan(5);
});

test("there are never two rounds at once, and a signal during a round gives one more", async () => {
  let running = 0;
  let most = 0;
  const held: (() => void)[] = [];
  const { loop } = start(async () => {
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => held.push(resolve));
    running--;
  });
  loop.signal();
  await eventually(() => expect(held).toHaveLength(1));
  for (let i = 0; i < 10; i++) loop.signal();
  held[0]?.();
  await eventually(() => expect(held).toHaveLength(2));
  held[1]?.();
  await eventually(() => expect(loop.rounds).toBe(2));
  expect(most).toBe(1);
});

test("a round that throws is reported, and the loop lives", async () => {
  let calls = 0;
  const { loop, errors } = start(async () => {
    if (++calls === 1) throw new Error("first");
  });
  await loop.settled();
  await loop.settled();
  expect(calls).toBe(2);
  expect(errors).toEqual([new Error("first")]);
});

test("settled waits for a round that began after it was asked", async () => {
  let value = "old";
  let seen = "";
  const held = Promise.withResolvers<void>();
  let isFirst = true;
  const { loop } = start(async () => {
    const snapshot = value;
    if (isFirst) {
      isFirst = false;
      await held.promise;
    }
    seen = snapshot;
  });
  loop.signal();
  await eventually(() => expect(isFirst).toBe(false));
  value = "new";
  const settled = loop.settled();
  held.resolve();
  await settled;
  expect(seen).toBe("new");
});

test("a closed loop ends its round and runs no more", async () => {
  const { loop } = start();
  loop.signal();
  await loop.close();
  loop.signal();
  await loop.settled();
  expect(loop.rounds).toBe(0);
});
