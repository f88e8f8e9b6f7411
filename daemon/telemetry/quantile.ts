// Quantiles from histogram buckets, as Prometheus' histogram_quantile: linear within the bucket that holds the rank.
import { durationBucketsMs } from "../../proxy/contract/report.ts";

export const bucketCount = durationBucketsMs.length + 1;

/** Milliseconds; 0 without observations. In the last bucket, which has no bound, its lower bound. */
export function quantileMs(buckets: readonly number[], q: number): number {
  const total = buckets.reduce((sum, n) => sum + n, 0);
  if (total === 0) return 0;
  const rank = q * total;
  let below = 0;
  for (let i = 0; i < buckets.length; i++) {
    const n = buckets[i] ?? 0;
    if (n > 0 && below + n >= rank) {
      const low = i === 0 ? 0 : (durationBucketsMs[i - 1] ?? 0);
      const high = durationBucketsMs[i];
      return high === undefined ? low : low + (high - low) * ((rank - below) / n);
    }
    below += n;
  }
  return durationBucketsMs.at(-1) ?? 0;
}
