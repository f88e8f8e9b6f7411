// Istio's HTTPRetry to a RetryConfig.
import { STATUS_CODES } from "node:http";
import type { RetryConfig, RetryOn } from "../../../proxy/contract/config.ts";
import { defaultRetry } from "../defaults.ts";
import { suggest } from "../did-you-mean.ts";
import type { Findings } from "../findings.ts";
import type { Entry } from "../located.ts";
import { type FieldTable, readDuration, readFields, readInteger, readText } from "./fields.ts";

const table: FieldTable = {
  attempts: "read",
  perTryTimeout: "read",
  retryOn: "read",
  backoff: "later",
  retryIgnorePreviousHosts: "later",
  retryRemoteLocalities: { noEffect: "there is one locality" },
};
const supported: readonly RetryOn[] = [
  "connect-failure",
  "refused-stream",
  "reset",
  "gateway-error",
  "5xx",
  "retriable-status-codes",
];
/** Conditions that Istio takes and that cannot come about here: gRPC's are read from trailers of HTTP/2, the last is HTTP/3's. */
const idle = [
  "cancelled",
  "deadline-exceeded",
  "internal",
  "resource-exhausted",
  "unavailable",
  "http3-post-connect-failure",
];
const later = ["reset-before-request", "retriable-4xx", "retriable-headers", "envoy-ratelimited"];

/** Null where the field is absent: Istio's default policy. */
export function readRetries(entry: Entry | undefined, what: string, findings: Findings): RetryConfig | null {
  if (entry === undefined) return null;
  const fields = readFields(entry.value, table, what, findings);
  const attempts = readInteger(fields.get("attempts"), `${what}.attempts`, findings) ?? 0;
  const others = [...fields].filter(([name]) => name !== "attempts");
  if (attempts < 0) findings.error("DM1208", entry.value.at, `${what}.attempts cannot be negative`);
  const [other] = others;
  if (attempts === 0 && other !== undefined) {
    findings.error(
      "DM1208",
      other[1].keyAt,
      `${what}.${other[0]} is set while attempts is 0 (no retries)`,
      "set attempts",
    );
  }
  const perTryTimeoutMs = readDuration(fields.get("perTryTimeout"), `${what}.perTryTimeout`, findings) ?? 0;
  const conditions = readConditions(fields.get("retryOn"), `${what}.retryOn`, findings);
  if (attempts <= 0) return { attempts: 0, perTryTimeoutMs: 0, on: [], statusCodes: [] };
  return { attempts, perTryTimeoutMs, ...(conditions ?? { on: defaultRetry.on, statusCodes: [] }) };
}

function readConditions(
  entry: Entry | undefined,
  what: string,
  findings: Findings,
): Pick<RetryConfig, "on" | "statusCodes"> | null {
  const text = readText(entry, what, findings);
  if (text === null || text === "" || entry === undefined) return null;
  const on = new Set<RetryOn>();
  const statusCodes = new Set<number>();
  for (const word of text.split(",")) {
    const known = supported.find((one) => one === word);
    const at = entry.value.at;
    if (known !== undefined) on.add(known);
    else if (/^\d{3}$/.test(word) && STATUS_CODES[word] !== undefined) statusCodes.add(Number(word));
    else if (idle.includes(word))
      findings.warning("DM1209", at, `${word} in ${what} has no effect here: it is about gRPC or HTTP/3`);
    else if (later.includes(word)) findings.error("DM1203", at, `${word} in ${what} is not supported yet`);
    else {
      const hint =
        word !== word.trim()
          ? "Istio takes no spaces here"
          : suggest(word, [...supported, ...idle, ...later], "conditions are");
      findings.error("DM1208", at, `"${word}" is not a condition for ${what}`, hint);
    }
  }
  if (statusCodes.size > 0) on.add("retriable-status-codes");
  return { on: [...on], statusCodes: [...statusCodes] };
}
