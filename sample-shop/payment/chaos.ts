// Failures and delays that can be set while the service runs, to see how its callers take them.

export interface Chaos {
  /** Share of charges that fail, 0 to 1. */
  readonly failureRate: number;
  readonly latencyMs: number;
}

export const calm: Chaos = { failureRate: 0, latencyMs: 0 };

const latencyMsMax = 60_000;

/** `current` with what `body` changes, or a sentence that says what is wrong with it. */
export function changedChaos(current: Chaos, body: unknown): Chaos | string {
  if (typeof body !== "object" || body === null || Array.isArray(body)) return "send a JSON object";
  const unknown = Object.keys(body).find((key) => key !== "failureRate" && key !== "latencyMs");
  if (unknown !== undefined) return `there is no ${unknown}; set failureRate, latencyMs`;
  const next = { ...current, ...body } as Record<keyof Chaos, unknown>;
  const { failureRate, latencyMs } = next;
  if (typeof failureRate !== "number" || !(failureRate >= 0 && failureRate <= 1)) return "failureRate is 0 to 1";
  if (typeof latencyMs !== "number" || !(latencyMs >= 0 && latencyMs <= latencyMsMax)) {
    return `latencyMs is 0 to ${latencyMsMax}`;
  }
  return { failureRate, latencyMs };
}
