import { expect, test } from "vitest";
import type { OwnContainer } from "../../daemon/docker/world.ts";
import { Renewals } from "../../daemon/renewals.ts";
import { container, sidecarOf } from "./support.ts";

/** Renewals over proxies of which each becomes a new one when a round finds it among the replaced. */
function start(names: readonly string[], { broken = [] as readonly string[] } = {}) {
  const history: string[] = [];
  const events: string[] = [];
  let own: readonly OwnContainer[] = names.map((name) => sidecarOf(container(name), { image: "old" }));
  const owners = new Map(own.map((one) => [one.owner, names[own.indexOf(one)] ?? ""]));
  const renewals: Renewals = new Renewals({
    outdated: () => own.filter(({ image }) => image === "old"),
    settle: async () => {
      const { leaving, replaced } = renewals;
      history.push(`${owners.get(leaving ?? "") ?? "nobody"} leaves, ${replaced.size} replaced`);
      own = own.map((one) => {
        const isNow = replaced.has(one.id) && !broken.includes(owners.get(one.owner) ?? "");
        return isNow ? { ...one, id: `${one.id}2`, image: "new" } : one;
      });
    },
    done: async () => undefined,
    waitFor: async (isTrue) => isTrue(),
    isSynced: () => true,
    serves: (owner, butNot) => own.some((one) => one.owner === owner && one.id !== butNot.id),
    onEvent: (text) => events.push(text),
    onChange: () => history.push("changed"),
  });
  return { renewals, history, events, images: () => own.map(({ image }) => image) };
}

test("one after the other leaves, is replaced, and is back before the next one leaves", async () => {
  const { renewals, history, images } = start(["a", "b"]);
  const running = renewals.run();
  expect(renewals.missing).toHaveLength(2);
  await renewals.run();
  await running;
  const turn = (name: string) => [
    `${name} leaves, 0 replaced`,
    `${name} leaves, 1 replaced`,
    "nobody leaves, 0 replaced",
  ];
  expect(history).toEqual([...turn("a"), ...turn("b"), "changed"]);
  expect([images(), renewals.missing]).toEqual([["new", "new"], []]);
});

test("one whose successor does not come up is told, and left out", async () => {
  const { renewals, events, images } = start(["a", "b"], { broken: ["a"] });
  await renewals.run();
  expect(images()).toEqual(["old", "new"]);
  expect(events[0]).toMatch(/shop-a-1 could not be replaced/);
  await renewals.run();
  expect(events).toHaveLength(2);
});

test("after its close none begins", async () => {
  const { renewals, images } = start(["a", "b"]);
  const running = renewals.run();
  renewals.close();
  await running;
  expect(images()).toEqual(["new", "old"]);
});
