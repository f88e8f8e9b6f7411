import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RetryConfig, RetryOn } from "../../../proxy/contract/config.ts";
import { type Failure, type Flag, failure, unprocessed } from "../../../proxy/http/failure.ts";
import { retryAfterFailure, retryAfterResponse, type Verdict } from "../../../proxy/route/retry.ts";
import { responseHead } from "./scripted.ts";

const retryOn = (...on: RetryOn[]): RetryConfig => ({ attempts: 2, perTryTimeoutMs: 0, on, statusCodes: [] });
const maybe = (flag: Flag): Failure => failure(flag, 503, "x", "x");
const never = (flag: Flag): Failure => unprocessed(maybe(flag));
const istio = retryOn("connect-failure", "refused-stream");

describe("after a failure", () => {
  test.each<[string, RetryConfig, Failure, Verdict]>([
    ["by default a failed connect", istio, never("UF"), "retry"],
    ["by default what the peer says it did not process", istio, never("UC"), "retry"],
    ["by default nothing that may have been processed", istio, maybe("UC"), "no"],
    ["by default no timeout", istio, maybe("UT"), "no"],
    ["connect-failure means connecting", retryOn("connect-failure"), never("UC"), "no"],
    ["refused-stream means everything else that was not processed", retryOn("refused-stream"), never("UO"), "retry"],
    ["refused-stream does not mean connecting", retryOn("refused-stream"), never("UF"), "no"],
    ["reset takes in a lost connection", retryOn("reset"), maybe("UC"), "retry"],
    ["reset takes in a per-try timeout", retryOn("reset"), maybe("UT"), "retry"],
    ["5xx takes in a failed connect", retryOn("5xx"), never("UF"), "retry"],
    ["5xx takes in a refused stream", retryOn("5xx"), never("UC"), "retry"],
    ["5xx takes in a lost connection", retryOn("5xx"), maybe("UC"), "retry"],
    ["gateway-error takes in a failed connect", retryOn("gateway-error"), never("UF"), "retry"],
    ["gateway-error takes in a per-try timeout", retryOn("gateway-error"), maybe("UT"), "retry"],
    ["status codes are about responses", retryOn("retriable-status-codes"), never("UF"), "no"],
    ["a client that broke the protocol never", retryOn("reset", "refused-stream"), never("DPE"), "no"],
    ["a client that is gone never", retryOn("reset", "5xx"), maybe("DC"), "no"],
  ])("%s", (_why, retry, reason, expected) => {
    expect(retryAfterFailure(retry, reason, 0)).toBe(expected);
  });

  test("as many times as the policy has, then it says that they are used up", () => {
    expect([0, 1, 2].map((retries) => retryAfterFailure(istio, never("UF"), retries))).toEqual([
      "retry",
      "retry",
      "exhausted",
    ]);
    expect(retryAfterFailure({ ...istio, attempts: 0 }, never("UF"), 0)).toBe("no");
  });
});

describe("after a response", () => {
  test.each<[string, RetryConfig, number, Verdict]>([
    ["by default none", istio, 503, "no"],
    ["5xx: 500", retryOn("5xx"), 500, "retry"],
    ["5xx: 599", retryOn("5xx"), 599, "retry"],
    ["5xx: not 499", retryOn("5xx"), 499, "no"],
    ["gateway-error: not 501", retryOn("gateway-error"), 501, "no"],
    ["gateway-error: 502", retryOn("gateway-error"), 502, "retry"],
    ["gateway-error: 504", retryOn("gateway-error"), 504, "retry"],
    ["gateway-error: not 505", retryOn("gateway-error"), 505, "no"],
    ["codes", { ...retryOn("retriable-status-codes"), statusCodes: [409] }, 409, "retry"],
    ["other codes", { ...retryOn("retriable-status-codes"), statusCodes: [409] }, 503, "no"],
    ["codes count only where they are asked for", { ...retryOn("reset"), statusCodes: [409] }, 409, "no"],
  ])("%s", (_why, retry, status, expected) => {
    expect(retryAfterResponse(retry, responseHead(status), 0)).toBe(expected);
  });
});

test("with the default policy nothing but what was not processed is ever tried again", () => {
  const flags = fc.constantFrom<Flag>("UF", "UC", "UR", "UT", "UO", "UPE", "LR", "OM", "DC", "DPE", "-");
  fc.assert(
    fc.property(flags, fc.integer({ min: 100, max: 599 }), fc.nat(5), (flag, status, retries) => {
      expect(retryAfterFailure(istio, maybe(flag), retries)).toBe("no");
      expect(retryAfterResponse(istio, responseHead(status), retries)).toBe("no");
    }),
  );
});
