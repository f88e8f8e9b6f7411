// When another try is allowed. By default only where nothing was processed: nobody's payment is sent twice.
import type { RetryConfig, RetryOn } from "../contract/config.ts";
import type { Failure } from "../http/failure.ts";
import type { ResponseHead } from "../http/message.ts";

/** `exhausted`: the policy would, but its tries are used up. */
export type Verdict = "retry" | "exhausted" | "no";

/** As Envoy's `retry_on`: 5xx and gateway-error take in a try that brought no response at all, however it failed. */
export function retryAfterFailure(retry: RetryConfig, reason: Failure, retries: number): Verdict {
  // A client that is gone or that broke the protocol is no reason to bother another endpoint.
  if (reason.flag === "DC" || reason.flag === "DPE" || reason.flag === "DT") return "no";
  const kinds: RetryOn[] = ["reset", "5xx", "gateway-error"];
  if (reason.isUnprocessed) kinds.push(reason.flag === "UF" ? "connect-failure" : "refused-stream");
  return verdict(
    retry,
    retries,
    retry.on.some((on) => kinds.includes(on)),
  );
}

export function retryAfterResponse(retry: RetryConfig, { status }: ResponseHead, retries: number): Verdict {
  const fits = retry.on.some(
    (on) =>
      (on === "5xx" && status >= 500) ||
      (on === "gateway-error" && status >= 502 && status <= 504) ||
      (on === "retriable-status-codes" && retry.statusCodes.includes(status)),
  );
  return verdict(retry, retries, fits);
}

function verdict(retry: RetryConfig, retries: number, fits: boolean): Verdict {
  if (!fits || retry.attempts === 0) return "no";
  return retries < retry.attempts ? "retry" : "exhausted";
}
