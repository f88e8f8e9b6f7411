// Exact weighted splits: each block of requests holds exactly the weights, in an order shuffled per block.
// A coin toss would make 1 % of 1,000 anything from 3 to 18; a fixed order aliases with the caller's own pattern.
import type { DestinationConfig } from "../contract/config.ts";

/** The longest block. Weights that need a longer one are refused by the daemon (DM1xxx) and scaled here. */
const blockLengthMax = 10_000;

/** Returns a number in [0, 1). */
export type Random = () => number;

export class Split {
  readonly destinations: readonly DestinationConfig[];
  readonly #block: Uint16Array;
  readonly #random: Random;
  #next: number;

  constructor(destinations: readonly DestinationConfig[], random: Random) {
    this.destinations = destinations;
    this.#block = blockOf(destinations);
    this.#random = random;
    this.#next = this.#block.length;
  }

  /** The destination of the next request, or null when every weight is 0. */
  next(): DestinationConfig | null {
    const block = this.#block;
    if (block.length === 0) return null;
    if (this.#next >= block.length) {
      shuffle(block, this.#random);
      this.#next = 0;
    }
    return this.destinations[block[this.#next++] ?? 0] ?? null;
  }
}

function blockOf(destinations: readonly DestinationConfig[]): Uint16Array {
  const weights = destinations.map((destination) => destination.weight);
  const divisor = weights.reduce(greatestCommonDivisor, 0);
  if (divisor === 0) return new Uint16Array(0);
  let shares = weights.map((weight) => weight / divisor);
  const sum = shares.reduce((a, b) => a + b, 0);
  if (sum > blockLengthMax)
    shares = shares.map((share) => (share === 0 ? 0 : Math.max(1, Math.round((share * blockLengthMax) / sum))));
  return Uint16Array.from(shares.flatMap((share, index) => new Array<number>(share).fill(index)));
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function shuffle(block: Uint16Array, random: Random): void {
  for (let i = block.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    const kept = block[i] ?? 0;
    block[i] = block[j] ?? 0;
    block[j] = kept;
  }
}

/** mulberry32: small, fast and seedable, which is all that a shuffle needs. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/**
 * Splits that outlive a config: one whose destinations did not change goes on in the middle of its block,
 * so a reload of something else never disturbs its exactness.
 */
export class Splits {
  readonly #random: Random;
  #current = new Map<string, Split>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Starts a new generation: `take` hands out splits, `commit` forgets those that nobody took. */
  generation(): { take(key: string, destinations: readonly DestinationConfig[]): Split; commit(): void } {
    const taken = new Map<string, Split>();
    return {
      take: (key, destinations) => {
        const full = `${key}\n${JSON.stringify(destinations)}`;
        const split = taken.get(full) ?? this.#current.get(full) ?? new Split(destinations, this.#random);
        taken.set(full, split);
        return split;
      },
      commit: () => {
        this.#current = taken;
      },
    };
  }
}
