// The failures that an HTTP/1 connection can raise, with Envoy's flags and details.
import { type Failure, failure, unprocessed } from "../http/failure.ts";
import type { Rejection } from "./rejection.ts";

export function badRequest(rejection: Rejection): Failure {
  return failure("DPE", rejection.status, "http1.codec_error", `bad request: ${rejection.reason}`);
}

export function clientGone(what: string): Failure {
  return failure("DC", 0, "downstream_remote_disconnect", what);
}

export function clientSlow(status: number, what: string): Failure {
  return failure("DT", status, "downstream_timeout", what);
}

export function closedHere(what: string): Failure {
  return failure("LR", 0, "local_close", what);
}

export function badResponse(rejection: Rejection, upstream: string): Failure {
  const detail = "upstream_reset_before_response_started{protocol_error}";
  return failure("UPE", 502, detail, `${upstream} sent a bad response: ${rejection.reason}`);
}

/** Also after a stale connection: only requests that are safe to send twice are moved from one to a new one. */
export function connectFailed(reason: string): Failure {
  return unprocessed(failure("UF", 503, "upstream_reset_before_response_started{connection_failure}", reason));
}

export function connectionLost(reason: string, options: { isBegun: boolean; isUnprocessed: boolean }): Failure {
  const when = options.isBegun ? "after" : "before";
  const detail = `upstream_reset_${when}_response_started{connection_termination}`;
  return { ...failure("UC", 503, detail, reason), isUnprocessed: options.isUnprocessed };
}

export function overflow(reason: string): Failure {
  return unprocessed(failure("UO", 503, "upstream_reset_before_response_started{overflow}", reason));
}

/** Why a socket failed, for a sentence: the system's code says it best. */
export function causeOf(error: Error | null): string {
  if (error === null) return "closed";
  const code = (error as NodeJS.ErrnoException).code;
  return code === undefined ? error.message : code;
}
