// Counts for the line that the shopper logs every ten seconds.
import type { Outcome } from "./visit.ts";

/** Ten seconds at 1,000 requests a second; beyond that percentiles are of the first ones. */
const timesMax = 10_000;

export class Tally {
  #requests = 0;
  #failed = 0;
  #skipped = 0;
  #lastFailure: string | null = null;
  #times: number[] = [];
  readonly #versions = new Map<string, number>();

  done(outcome: Outcome, ms: number): void {
    this.#requests++;
    if (this.#times.length < timesMax) this.#times.push(ms);
    if (outcome.kind === "charge") this.#versions.set(outcome.version, (this.#versions.get(outcome.version) ?? 0) + 1);
  }

  failed(error: unknown): void {
    this.#requests++;
    this.#failed++;
    this.#lastFailure = error instanceof Error ? error.message : String(error);
  }

  /** A request that was due while too many were still without an answer. */
  skipped(): void {
    this.#skipped++;
  }

  /** The line, and a new start. */
  take(): string {
    const times = this.#times.sort((a, b) => a - b);
    const percentile = (share: number) => (times[Math.ceil(times.length * share) - 1] ?? 0).toFixed(1);
    const versions = [...this.#versions].sort().map(([version, count]) => `${version} ${count}`);
    const parts = [
      `${this.#requests} requests`,
      `${this.#failed} failed`,
      `charges ${versions.join(", ") || "none"}`,
      `p50 ${percentile(0.5)} ms`,
      `p99 ${percentile(0.99)} ms`,
      ...(this.#skipped > 0 ? [`${this.#skipped} not sent, too many unanswered`] : []),
      ...(this.#lastFailure === null ? [] : [`last failure: ${this.#lastFailure}`]),
    ];
    this.#requests = 0;
    this.#failed = 0;
    this.#skipped = 0;
    this.#lastFailure = null;
    this.#times = [];
    this.#versions.clear();
    return parts.join(" · ");
  }
}
