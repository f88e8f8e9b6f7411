import { expect, test } from "vitest";
import type { DestinationConfig } from "../../../proxy/contract/config.ts";
import { Split, Splits, seededRandom } from "../../../proxy/route/split.ts";

const to = (subset: string, weight: number): DestinationConfig => ({ service: "payment", subset, port: null, weight });

function count(split: Split, requests: number): Record<string, number> {
  const seen: Record<string, number> = {};
  for (let i = 0; i < requests; i++) {
    const subset = split.next()?.subset ?? "none";
    seen[subset] = (seen[subset] ?? 0) + 1;
  }
  return seen;
}

test.each([
  [[90, 10], 1000, [900, 100]],
  [[1, 99], 100, [1, 99]],
  [[1, 2], 3, [1, 2]],
  [[50, 50], 2, [1, 1]],
  [[0, 5], 10, [0, 10]],
  [[7], 10, [10]],
])("weights %j over %i requests give exactly %j", (weights, requests, expected) => {
  const split = new Split(
    weights.map((weight, i) => to(`v${i}`, weight)),
    seededRandom(1),
  );
  const seen = count(split, requests);
  expect(weights.map((_, i) => seen[`v${i}`] ?? 0)).toEqual(expected);
});

test("every block is exact, wherever the counting starts in a whole number of blocks", () => {
  const split = new Split([to("a", 3), to("b", 1)], seededRandom(7));
  for (let block = 0; block < 50; block++) expect(count(split, 4)).toEqual({ a: 3, b: 1 });
});

test("two kinds of calls that alternate both reach both versions", () => {
  const split = new Split([to("a", 50), to("b", 50)], seededRandom(3));
  const seen: [Set<string>, Set<string>] = [new Set(), new Set()];
  for (let i = 0; i < 40; i++) seen[i % 2 === 0 ? 0 : 1].add(split.next()?.subset ?? "none");
  expect(seen.map((kinds) => kinds.size)).toEqual([2, 2]);
});

test("weights that are all zero choose nothing", () => {
  expect(new Split([to("a", 0), to("b", 0)], seededRandom(1)).next()).toBeNull();
});

test("a reload of something else leaves a block where it was, a change of the weights starts a new one", () => {
  const splits = new Splits(seededRandom(5));
  const destinations = [to("a", 9), to("b", 1)];
  const first = splits.generation();
  const split = first.take("payment/http/0/default", destinations);
  first.commit();
  count(split, 5);
  const second = splits.generation();
  expect(second.take("payment/http/0/default", [...destinations])).toBe(split);
  expect(second.take("payment/http/0/default", [to("a", 8), to("b", 2)])).not.toBe(split);
});

test("a generation that is not committed forgets nothing", () => {
  const splits = new Splits(seededRandom(5));
  const first = splits.generation();
  const split = first.take("k", [to("a", 1)]);
  first.commit();
  splits.generation().take("k", [to("b", 1)]);
  expect(splits.generation().take("k", [to("a", 1)])).toBe(split);
});
