// Weights: what the proxy can hold exactly, and how a share is divided so that the sum stays exact.

/** The proxy's splits run in blocks of the weights' sum over their greatest common divisor; a block holds at most this many requests. */
export const weightSumMax = 10_000;
/** Istio's weights are int32. */
export const weightMax = 2_147_483_647;

/** What is wrong with these weights together, or null. Each one is a whole number from 0 already. */
export function weightsFault(weights: readonly number[]): string | null {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  if (sum === 0) return "all weights are 0, so nothing would get a request";
  const reduced = sum / weights.reduce(gcd, 0);
  if (reduced <= weightSumMax) return null;
  return `weights add up to ${reduced} after their common divisor is taken out, and at most ${weightSumMax} can be split exactly`;
}

/** `total` divided in proportion to `shares` (evenly when all are 0), in whole numbers that add up to it (largest remainders). */
export function divide(total: number, shares: readonly number[]): readonly number[] {
  const sum = shares.reduce((all, share) => all + share, 0);
  const exact = shares.map((share) => (sum === 0 ? total / shares.length : (total * share) / sum));
  const whole = exact.map(Math.floor);
  let rest = total - whole.reduce((all, share) => all + share, 0);
  const byRemainder = exact
    .map((share, index) => ({ index, remainder: share - Math.floor(share) }))
    .sort((a, b) => b.remainder - a.remainder || a.index - b.index);
  for (const { index } of byRemainder) {
    if (rest <= 0) break;
    whole[index] = (whole[index] ?? 0) + 1;
    rest -= 1;
  }
  return whole;
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
