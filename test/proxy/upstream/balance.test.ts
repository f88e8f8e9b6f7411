import fc from "fast-check";
import { expect, test } from "vitest";
import { seededRandom } from "../../../proxy/route/split.ts";
import { leastRequest } from "../../../proxy/upstream/balance.ts";

test("there is one where there are candidates, and none where there are none", () => {
  const candidates = fc.array(fc.record({ active: fc.nat(10) }), { maxLength: 6 });
  fc.assert(
    fc.property(candidates, fc.integer(), (all, seed) => {
      const chosen = leastRequest(all, seededRandom(seed));
      expect(chosen === null).toBe(all.length === 0);
      if (chosen !== null) expect(all).toContain(chosen);
    }),
  );
});

test("of two the less busy one is taken, always", () => {
  const [busy, idle] = [{ active: 3 }, { active: 2 }];
  const random = seededRandom(1);
  for (let i = 0; i < 100; i++) expect(leastRequest([busy, idle], random)).toBe(idle);
});

test("the busiest of several is never taken, equals get about the same", () => {
  const all = [{ active: 1 }, { active: 1 }, { active: 1 }, { active: 2 }];
  const random = seededRandom(7);
  const counts = new Map(all.map((one) => [one, 0]));
  for (let i = 0; i < 3000; i++) {
    const one = leastRequest(all, random);
    if (one !== null) counts.set(one, (counts.get(one) ?? 0) + 1);
  }
  const [a = 0, b = 0, c = 0, d = 0] = counts.values();
  expect(d).toBe(0);
  for (const count of [a, b, c]) expect(Math.abs(count - 1000)).toBeLessThan(150);
});
