// The checker of histories must find what it is there to find.
import { expect, test } from "vitest";
import { faultsOf } from "./history.ts";
import type { Sent } from "./load.ts";

const ok: Sent = { n: 1, start: 1000, end: 1010, status: 200, flags: "", reason: "", host: "abc", name: "api" };
const failed: Sent = { ...ok, status: 503, flags: "UC", reason: "lost the connection to shop_api_1", name: "" };
const fault = { names: "shop_api_1", fromMs: 900, untilMs: 1500 };

test.for<[string, Sent, number]>([
  ["an answer of the service", ok, 0],
  ["an answer of another service", { ...ok, name: "pay" }, 1],
  ["an answer of another service while something is broken", { ...ok, name: "pay", start: 1200 }, 1],
  ["a failure of what is broken", failed, 0],
  ["a failure of something else", { ...failed, reason: "lost the connection to shop_api_2" }, 1],
  ["a failure before the fault", { ...failed, start: 800, end: 850 }, 1],
  ["one that was under way when the fault began", { ...failed, start: 800, end: 950 }, 0],
  ["a failure that was sent after it", { ...failed, start: 1501, end: 1600 }, 1],
])("%s", ([, sent, count]) => {
  expect(faultsOf([sent], ["api"], [fault])).toHaveLength(count);
});

test("a failure without any fault is told with its reason", () => {
  expect(faultsOf([failed], ["api"], [])).toEqual(["request 1 failed (503 UC lost the connection to shop_api_1)"]);
});
