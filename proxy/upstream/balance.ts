// Which of several endpoints gets the next request: the less busy of two drawn at random (Istio's default, LEAST_REQUEST).
import type { Random } from "../route/split.ts";

export interface Balanced {
  /** Requests and connections under way. */
  readonly active: number;
}

/** Null only when there are no candidates. */
export function leastRequest<T extends Balanced>(candidates: readonly T[], random: Random): T | null {
  if (candidates.length <= 1) return candidates[0] ?? null;
  const first = Math.floor(random() * candidates.length);
  const step = 1 + Math.floor(random() * (candidates.length - 1));
  const a = candidates[first];
  const b = candidates[(first + step) % candidates.length];
  if (a === undefined || b === undefined) return null;
  return b.active < a.active ? b : a;
}
