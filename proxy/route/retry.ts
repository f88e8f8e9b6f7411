// When another try is allowed. By default only where nothing was processed: nobody's payment is sent twice.
import type { RetryConfig } from "../contract/config.ts";
import type { Failure } from "../http/failure.ts";
import type { ResponseHead } from "../http/message.ts";

export function retryAfterFailure(retry: RetryConfig, reason: Failure, retries: number): boolean {
  if (retries >= retry.attempts) return false;
  if (reason.isUnprocessed) {
    return retry.on.includes(reason.flag === "UF" ? "connect-failure" : "refused-stream") || retry.on.includes("reset");
  }
  // A client that is gone or that broke the protocol is no reason to bother another endpoint.
  if (reason.flag === "DC" || reason.flag === "DPE") return false;
  if (reason.flag === "UT") return retry.on.includes("5xx") || retry.on.includes("gateway-error");
  return retry.on.includes("reset") || retry.on.includes("5xx") || retry.on.includes("gateway-error");
}

export function retryAfterResponse(retry: RetryConfig, head: ResponseHead, retries: number): boolean {
  if (retries >= retry.attempts) return false;
  const { status } = head;
  if (retry.on.includes("5xx") && status >= 500) return true;
  if (retry.on.includes("gateway-error") && status >= 502 && status <= 504) return true;
  return retry.on.includes("retriable-status-codes") && retry.statusCodes.includes(status);
}
