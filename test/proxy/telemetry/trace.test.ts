import { describe, expect, test } from "vitest";
import { Fields } from "../../../proxy/http/fields.ts";
import { continueTrace, randomHex, requestId } from "../../../proxy/telemetry/trace.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const parent = "b7ad6b7169203331";
const continued = (...list: string[]): Fields => {
  const fields = new Fields(list);
  continueTrace(fields);
  return fields;
};

describe("a trace that came in", () => {
  test.each<[string, string, string]>([
    ["is continued", `00-${trace}-${parent}-01`, "01"],
    ["and stays unsampled", `00-${trace}-${parent}-00`, "00"],
    ["of a later version as far as this one knows it", `cc-${trace}-${parent}-01-what-the-future-says`, "01"],
  ])("%s", (_why, traceparent, flags) => {
    const fields = continued("traceparent", traceparent, "tracestate", "a=1");
    expect(fields.get("traceparent")).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-${flags}$`));
    expect(fields.get("traceparent")).not.toContain(parent);
    expect(fields.get("tracestate")).toBe("a=1");
  });
});

describe("a new one is started, and the state of none forgotten", () => {
  test.each([
    ["nothing", ""],
    ["upper case", `00-${trace.toUpperCase()}-${parent}-01`],
    ["version ff", `ff-${trace}-${parent}-01`],
    ["a trace of zeros", `00-${"0".repeat(32)}-${parent}-01`],
    ["a parent of zeros", `00-${trace}-${"0".repeat(16)}-01`],
    ["more than version 00 has", `00-${trace}-${parent}-01-x`],
    ["too short", `00-${trace}-${parent}`],
    ["text", "hello"],
  ])("after %s", (_why, traceparent) => {
    const fields = continued("TraceParent", traceparent, "tracestate", "a=1");
    expect(fields.get("traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect([fields.get("traceparent")?.includes(trace), fields.has("tracestate"), fields.count]).toEqual([
      false,
      false,
      2,
    ]);
  });
});

test("a request id is kept, or made", () => {
  expect(continued("X-Request-Id", "mine").get("x-request-id")).toBe("mine");
  expect(continued().get("x-request-id")).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
  expect(continued("x-request-id", "").get("x-request-id")).not.toBe("");
});

test("ids are distinct, also beyond one block of random bytes", () => {
  const ids = Array.from({ length: 2000 }, requestId);
  expect(new Set(ids).size).toBe(2000);
  expect(randomHex(8)).toMatch(/^[0-9a-f]{16}$/);
});
