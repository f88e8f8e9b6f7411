// The soak's checker must find what leaks.
import { expect, test } from "vitest";
import { type Holdings, leaksOf } from "./leaks.ts";

const before: Holdings = { state: "well", processes: [{ name: "daemon", descriptors: 40, rssMb: 90 }] };
const with1 = (change: Partial<Holdings["processes"][number]>): Holdings => ({
  ...before,
  processes: before.processes.map((one) => ({ ...one, ...change })),
});

test.for<[string, Holdings, string]>([
  ["nothing", before, ""],
  ["a pool that grew", with1({ descriptors: 200 }), ""],
  ["a heap that is not collected yet", with1({ rssMb: 170 }), ""],
  ["descriptors", with1({ descriptors: 500 }), "daemon had 40 descriptors and has 500"],
  ["memory", with1({ rssMb: 190 }), "daemon had 90 MB and has 190 MB"],
  ["another state", { ...before, state: "one network more" }, "the state was well and is one network more"],
  ["another process", with1({ name: "sidecar" }), "sidecar was not there before"],
  ["a process less", { ...before, processes: [] }, "a process is missing"],
])("%s", ([, after, leak]) => {
  expect(leaksOf(before, after)).toEqual(leak === "" ? [] : [leak]);
});
