// The proxy's group, drawn at each start: an application that happens to run as the proxy's user is captured like any other.
import { randomInt } from "node:crypto";
import { readFileSync } from "node:fs";

/** Below are groups that images use, and 65534 is nobody's. */
const lowest = 1 << 30;
/** Signed 32 bits: some tools read a group as such. */
const highest = 0x7fff_fffe;
/** With user namespaces (rootless, userns-remap) a container often has 65536 groups. */
const lowestOfFew = 20_000;
const highestOfFew = 65_000;

/**
 * `gidMap` is the text of /proc/self/gid_map, `random` draws from a range. Among so many groups an application has the proxy's only if it
 * tries them, as root: a boundary against that it is not.
 */
export function drawProxyGroup(gidMap: string, random: (from: number, below: number) => number): number {
  const [from, to] = isMapped(gidMap, highest) ? [lowest, highest] : [lowestOfFew, highestOfFew];
  return random(from, to + 1);
}

export function newProxyGroup(): number {
  return drawProxyGroup(readFileSync("/proc/self/gid_map", "latin1"), randomInt);
}

/** Lines of "first id inside, first id outside, how many". */
function isMapped(gidMap: string, group: number): boolean {
  return gidMap.split("\n").some((line) => {
    const [first = 0, , count = 0] = line.trim().split(/\s+/).map(Number);
    return group >= first && group < first + count;
  });
}
