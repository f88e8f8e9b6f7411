import { expect, test } from "vitest";
import { editDistance, nearest, suggest } from "../../../daemon/spec/did-you-mean.ts";

const rows: readonly (readonly [string, string, string, number])[] = [
  ["equal words", "port", "port", 0],
  ["a letter more", "port", "ports", 1],
  ["a letter less", "hosts", "host", 1],
  ["another letter", "port", "part", 1],
  ["two letters swapped", "prot", "port", 1],
  ["nothing in common", "abc", "xyz", 3],
  ["an empty word", "", "abc", 3],
];

test.each(rows)("the distance of %s is counted", (_, a, b, expected) => {
  expect(editDistance(a, b)).toBe(expected);
  expect(editDistance(b, a)).toBe(expected);
});

test("a word that is far from all others gets the list instead of a suggestion", () => {
  expect(nearest("completely-different", ["port", "ports"])).toBeNull();
  expect(suggest("completely-different", ["port", "ports"], "keys are")).toBe("keys are: port, ports");
});

test("a word of two letters gets no suggestion, since any other is near", () => {
  expect(nearest("v3", ["v1", "v2"])).toBeNull();
});

test("an overlong word is not compared", () => {
  expect(nearest("x".repeat(1_000_000), ["x"])).toBeNull();
});
