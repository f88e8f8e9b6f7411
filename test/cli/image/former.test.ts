import { expect, test } from "vitest";
import { formerImages, readListing } from "../../../cli/image/former.ts";

const now = Date.parse("2026-11-30T12:00:00Z");
const hours = 60 * 60 * 1000;

test.each<[string, string, number, boolean]>([
  ["an old one", "devmesh/proxy:0123456789ab", 25, true],
  ["a young one, which another checkout may be about to use", "devmesh/proxy:0123456789ab", 23, false],
  ["the current one, however old", "devmesh/proxy:cccccccccccc", 1000, false],
  ["one from the future, as clocks go", "devmesh/proxy:0123456789ab", -5, false],
])("%s", (_why, tag, age, isFormer) => {
  const images = [{ tag, createdAtMs: now - age * hours }];
  const found = formerImages(images, { current: new Set(["devmesh/proxy:cccccccccccc"]), now });
  expect(found).toEqual(isFormer ? [tag] : []);
});

test("reads docker's listing, in its time zone, and only names that are ours", () => {
  const listing = [
    "devmesh/proxy:0123456789ab 2026-11-30 13:30:01 +0100 CET",
    "devmesh/shop:latest 2026-11-30 13:30:01 +0100 CET",
    "<none>:<none> 2026-11-30 13:30:01 +0100 CET",
    "other/proxy:0123456789ab 2026-11-30 13:30:01 +0100 CET",
    "devmesh/redis:abcdefabcdef 2026-01-02 03:04:05 +0000 UTC",
  ].join("\n");
  expect(readListing(listing)).toEqual([
    { tag: "devmesh/proxy:0123456789ab", createdAtMs: Date.parse("2026-11-30T12:30:01Z") },
    { tag: "devmesh/redis:abcdefabcdef", createdAtMs: Date.parse("2026-01-02T03:04:05Z") },
  ]);
});
