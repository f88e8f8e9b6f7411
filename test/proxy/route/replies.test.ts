import { expect, test } from "vitest";
import { type Flag, failure } from "../../../proxy/http/failure.ts";
import { flagsHeader, reasonHeader, replyTo } from "../../../proxy/route/replies.ts";

test.each<[number, Flag, string]>([
  [403, "-", "RBAC: access denied: why\n"],
  [404, "NR", "Not Found: why\n"],
  [502, "UPE", "Bad Gateway: why\n"],
  [503, "UH", "Service Unavailable: why\n"],
  [504, "UT", "Gateway Timeout: why\n"],
  [599, "-", "Error: why\n"],
])("%i says its flag and its reason, in headers and in the body", (status, flag, text) => {
  const { head, body } = replyTo(failure(flag, status, "x", "why"));
  expect([head.status, head.bodyLength, head.declaredLength]).toEqual([status, body.length, body.length]);
  expect([head.fields.get(flagsHeader), head.fields.get(reasonHeader), body.toString()]).toEqual([flag, "why", text]);
});

test("what a reason quotes cannot end a header, nor make one of any length", () => {
  const { head } = replyTo(failure("NR", 404, "x", `a\r\nset-cookie: x\u0000\u00e9\u010a${"y".repeat(5000)}`));
  const value = head.fields.get(reasonHeader) ?? "";
  expect(value).toMatch(/^a\?set-cookie: x\?y+$/);
  expect(value.length).toBe(1024);
});
