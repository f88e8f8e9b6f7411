// Durations as Go and Istio write them: 500ms, 2s, 1m30s, 1h, 1.5s.

const unitsMs: Readonly<Record<string, number>> = { h: 3_600_000, m: 60_000, s: 1000, ms: 1 };
const part = /(\d{1,12}(?:\.\d{1,9})?)(ms|h|m|s)/gy;

/** Longest duration that a timer of Node takes; anything longer fires at once. */
export const timerMsMax = 2_147_483_647;

/** Milliseconds, or null when the text is no duration or not a whole number of milliseconds. Units may come once each, largest first. */
export function parseDuration(text: string): number | null {
  if (text.length > 40) return null;
  let milliseconds = 0;
  let end = 0;
  let lastUnitMs = Number.POSITIVE_INFINITY;
  for (const match of text.matchAll(part)) {
    const unitMs = unitsMs[match[2] ?? ""] ?? 0;
    if (unitMs >= lastUnitMs) return null;
    lastUnitMs = unitMs;
    milliseconds += Number(match[1]) * unitMs;
    end = match.index + match[0].length;
  }
  if (end === 0 || end !== text.length) return null;
  // 1.1s is 1100.0000000000002 in floating point: what is off by less than a nanosecond is whole.
  const whole = Math.round(milliseconds);
  return Math.abs(whole - milliseconds) < 1e-6 && Number.isSafeInteger(whole) ? whole : null;
}
