import { randomInt } from "node:crypto";
import { expect, test } from "vitest";
import { drawProxyGroup } from "../../../proxy/capture/proxy-group.ts";

const all = "         0          0 4294967295\n";
const remapped = "         0     100000      65536\n";
const rootless = "         0       1000          1\n         1     100000      65536\n";
const lowest = (from: number) => from;
const highest = (_from: number, below: number) => below - 1;

test.each<[string, string, (from: number, below: number) => number, number]>([
  ["far above what images use", all, lowest, 1 << 30],
  ["below what is negative to some", all, highest, 0x7fff_fffe],
  ["where Docker remaps users, among those that there are", remapped, lowest, 20_000],
  ["below nobody's", remapped, highest, 65_000],
  ["in a rootless engine too", rootless, highest, 65_000],
  ["where the kernel says nothing, among the few", "", lowest, 20_000],
])("draws %s", (_why, gidMap, random, expected) => {
  expect(drawProxyGroup(gidMap, random)).toBe(expected);
});

test("draws another one each time", () => {
  expect(drawProxyGroup(all, randomInt)).not.toBe(drawProxyGroup(all, randomInt));
});
