// Suggests what somebody may have meant: the nearest known word by edit distance.

/** Longer words are not compared: the distance costs the product of both lengths. */
const comparedCharactersMax = 64;

/** The nearest of `known`, or null when none is near: at most a third of its letters may differ. */
export function nearest(word: string, known: Iterable<string>): string | null {
  if (word.length > comparedCharactersMax) return null;
  let best: string | null = null;
  let bestDistance = Math.floor(word.length / 3) + 1;
  for (const candidate of known) {
    if (candidate.length > comparedCharactersMax) continue;
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** "did you mean payment?", else the list of what there is, else "". */
export function suggest(word: string, known: readonly string[], what: string): string {
  const near = nearest(word, known);
  if (near !== null) return `did you mean ${near}?`;
  return known.length === 0 ? "" : `${what}: ${listed(known)}`;
}

/** At most twelve, so that a line stays a line. */
export function listed(words: readonly string[]): string {
  const shown = words.slice(0, 12).join(", ");
  return words.length > 12 ? `${shown}, ...` : shown;
}

/** Optimal string alignment: insert, delete, replace, or swap two neighbours (the commonest slip of a typist). */
export function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= b.length; column += 1) {
      const cost = a[row - 1] === b[column - 1] ? 0 : 1;
      let distance = Math.min((last[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1, (last[column - 1] ?? 0) + cost);
      const isSwap = row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1];
      if (isSwap) distance = Math.min(distance, (beforeLast[column - 2] ?? 0) + 1);
      current.push(distance);
    }
    beforeLast = last;
    last = current;
  }
  return last[b.length] ?? 0;
}
