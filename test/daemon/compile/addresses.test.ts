import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { allocate } from "../../../daemon/compile/addresses.ts";

const none = new Map<string, string>();
const names = fc.uniqueArray(fc.stringMatching(/^[a-z][a-z0-9-]{0,12}$/), { maxLength: 40 });
const numberOf = (address: string) => address.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);

describe("virtual addresses", () => {
  test("every name has one of its own in the upper half, never the broadcast address", () => {
    fc.assert(
      fc.property(names, (some) => {
        const addresses = [...allocate(some, none, "10.99.0.0/24").values()];
        expect(new Set(addresses).size).toBe(some.length);
        for (const address of addresses) {
          const host = numberOf(address) - numberOf("10.99.0.0");
          expect(host).toBeGreaterThanOrEqual(128);
          expect(host).toBeLessThan(255);
        }
      }),
    );
  });

  test("names that come and go change nobody else's", () => {
    fc.assert(
      fc.property(names, names, names, (first, second, third) => {
        const before = allocate(first, none, "10.99.0.0/22");
        const after = allocate(third, allocate(second, before, "10.99.0.0/22"), "10.99.0.0/22");
        for (const [name, address] of before) expect(after.get(name)).toBe(address);
      }),
    );
  });

  test("the order of names does not matter, and the same names get the same addresses without a memory", () => {
    fc.assert(
      fc.property(names, (some) => {
        expect(allocate(some.toReversed(), none, "10.99.0.0/24")).toEqual(allocate(some, none, "10.99.0.0/24"));
      }),
    );
  });

  test("a name that is gone gives its address away only when no other is left", () => {
    // A /28 has 7 virtual addresses.
    const seven = ["a", "b", "c", "d", "e", "f", "g"];
    const full = allocate(seven, none, "10.99.0.0/28");
    expect(full.size).toBe(7);
    const next = allocate([...seven.slice(1), "h"], full, "10.99.0.0/28");
    expect(next.get("h")).toBe(full.get("a"));
    expect(next.has("a")).toBe(false);
    for (const name of seven.slice(1)) expect(next.get(name)).toBe(full.get(name));
  });

  test("a full subnet leaves names without one", () => {
    const many = Array.from({ length: 9 }, (_, index) => `n${index}`);
    const result = allocate(many, none, "10.99.0.0/28");
    expect(result.size).toBe(7);
    expect(many.filter((name) => !result.has(name))).toHaveLength(2);
  });

  test.each([
    ["is of another subnet", "10.1.0.200"],
    ["is in Docker's half", "10.99.0.5"],
    ["is the broadcast address", "10.99.0.255"],
    ["is no address", "10.99.0.1e2"],
  ])("an earlier one that %s is not kept", (_why, address) => {
    const result = allocate(["a"], new Map([["a", address]]), "10.99.0.0/24");
    expect(result.get("a")).not.toBe(address);
    expect(result.get("a")).toMatch(/^10\.99\.0\./);
  });

  test("of two names that claim one address the one in use keeps it", () => {
    const previous = new Map([
      ["a-gone", "10.99.0.200"],
      ["used", "10.99.0.200"],
    ]);
    expect(allocate(["used"], previous, "10.99.0.0/24")).toEqual(new Map([["used", "10.99.0.200"]]));
  });

  test.each(["", "fd00::/64", "10.99.0.0", "10.99.0.0/31", "10.99.0.0/x", "300.1.1.1/24"])(
    "%j has no upper half",
    (subnet) => {
      expect(allocate(["a"], none, subnet)).toEqual(new Map());
    },
  );

  test("a subnet above 128.0.0.0 and one written with host bits work too", () => {
    expect(allocate(["a"], none, "192.168.77.9/24").get("a")).toMatch(/^192\.168\.77\./);
  });
});
