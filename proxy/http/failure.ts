// A failure is a named reason why a request failed. Its flag is Envoy's (%RESPONSE_FLAGS%), its detail is Envoy's
// %RESPONSE_CODE_DETAILS% where Envoy has one, its reason is a sentence for the person who has to mend it.

/** Envoy's response flags, as far as this proxy raises them. "-" is for denials, which have no flag of their own. */
export type Flag =
  | "-"
  | "UH" // no healthy upstream
  | "UF" // upstream connection failure
  | "UO" // overflow
  | "NR" // no route
  | "NC" // no such cluster
  | "URX" // retries exhausted
  | "UT" // upstream request timeout
  | "UR" // upstream reset
  | "UC" // upstream connection terminated
  | "LR" // local reset
  | "DC" // downstream connection terminated
  | "DPE" // downstream protocol error
  | "UPE" // upstream protocol error
  | "DI" // delay injected
  | "FI" // abort injected
  | "SI" // stream idle timeout
  | "DT" // downstream request timeout
  | "OM" // overload
  | "RL"; // rate limited

export interface Failure {
  readonly flag: Flag;
  readonly detail: string;
  readonly reason: string;
  /** Status of the reply that the proxy makes when no response was begun; 0: none can be sent (the client is gone). */
  readonly status: number;
  /** True when a replay is safe: it is certain that no application saw any of the request, or its method allows sending it twice. */
  readonly isUnprocessed: boolean;
}

/** Of a request that an application may have seen: replaying it is for whoever knows that it does no harm. */
export function failure(flag: Flag, status: number, detail: string, reason: string): Failure {
  return { flag, status, detail, reason, isUnprocessed: false };
}

/** The same of a request that certainly nobody saw. */
export function unprocessed(cause: Failure): Failure {
  return { ...cause, isUnprocessed: true };
}
