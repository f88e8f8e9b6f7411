// Decides when a key's actions may be tried again: after failures, and for a container that ends soon after each start.
import type { Action } from "./plan.ts";

export const backoffMs = { first: 500, max: 30_000 } as const;
/** A container that ran for less than this before it has to be started again is dying, not unlucky. */
export const stableAfterMs = 10_000;

/** Why a container or a gateway is not as it should be, for the status. */
export interface ActionFailure {
  readonly action: Action["kind"];
  /** What to show; `error` is a Problem when it has a code and a hint. */
  readonly reason: string;
  readonly error: Error | null;
  readonly attempts: number;
  /** Milliseconds of the clock. */
  readonly retryAtMs: number;
}

interface Entry {
  /** The application container's start that the sidecar was for. */
  readonly ownerStartedAt: string;
  readonly failures: number;
  /** Starts in a row of which each came soon after the last. */
  readonly starts: number;
  readonly startedAtMs: number;
  readonly retryAtMs: number;
  readonly failure: ActionFailure | null;
}

const fresh: Entry = {
  ownerStartedAt: "",
  failures: 0,
  starts: 0,
  startedAtMs: Number.NEGATIVE_INFINITY,
  retryAtMs: 0,
  failure: null,
};

export class Attempts {
  readonly #entries = new Map<string, Entry>();
  readonly #now: () => number;
  readonly #random: () => number;

  constructor({ now, random }: { readonly now: () => number; readonly random: () => number }) {
    this.#now = now;
    this.#random = random;
  }

  get failures(): ReadonlyMap<string, ActionFailure> {
    const failures = new Map<string, ActionFailure>();
    for (const [key, { failure }] of this.#entries) if (failure !== null) failures.set(key, failure);
    return failures;
  }

  /** Milliseconds to wait before these may run; 0 is now. */
  waitMs(key: string, actions: readonly Action[]): number {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    const owner = ownerStartOf(actions);
    if (owner !== null && entry.ownerStartedAt !== "" && owner !== entry.ownerStartedAt) {
      this.#entries.delete(key); // Its application was started anew: nothing of before counts.
      return 0;
    }
    const waitMs = Math.max(0, entry.retryAtMs - this.#now());
    const start = actions.find(isStart);
    if (waitMs > 0 && entry.failure === null && start !== undefined) {
      const reason = `it ended ${entry.starts} times within seconds of its start`;
      const { retryAtMs, starts: attempts } = entry;
      this.#entries.set(key, { ...entry, failure: { action: start.kind, reason, error: null, attempts, retryAtMs } });
    }
    return waitMs;
  }

  /** Nothing is to be done for the key: what failed is mended. What started of late is still remembered. */
  onWell(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    if (this.#now() - entry.startedAtMs > stableAfterMs) this.#entries.delete(key);
    else this.#entries.set(key, { ...entry, failures: 0, failure: null });
  }

  /** What failed for a reason that may be gone now need not wait for its turn. */
  hurry(isMended: (failure: ActionFailure) => boolean): void {
    for (const [key, entry] of this.#entries) {
      if (entry.failure === null || !isMended(entry.failure)) continue;
      this.#entries.set(key, { ...entry, failures: 0, retryAtMs: 0 });
    }
  }

  keys(): string[] {
    return [...this.#entries.keys()];
  }

  onDone(action: Action): void {
    const { key } = action;
    const entry = this.#entries.get(key) ?? fresh;
    if (isStart(action)) this.#entries.set(key, this.#started(entry, ownerStartOf([action]) ?? entry.ownerStartedAt));
    else if (entry.failure?.action === action.kind) {
      this.#entries.set(key, { ...entry, failures: 0, failure: null, retryAtMs: 0 });
    }
  }

  onFailed(action: Action, error: Error, reason: string): ActionFailure {
    const entry = this.#entries.get(action.key) ?? fresh;
    const failures = entry.failures + 1;
    const retryAtMs = this.#now() + this.#backoffMs(failures);
    const failure = { action: action.kind, reason, error, attempts: failures, retryAtMs };
    const ownerStartedAt = ownerStartOf([action]) ?? entry.ownerStartedAt;
    this.#entries.set(action.key, { ...entry, ownerStartedAt, failures, retryAtMs, failure });
    return failure;
  }

  /** The first start after an early end comes at once; each further one waits longer. */
  #started(entry: Entry, ownerStartedAt: string): Entry {
    const now = this.#now();
    const isEarly =
      now - entry.startedAtMs <= Math.max(stableAfterMs, entry.retryAtMs - entry.startedAtMs + stableAfterMs);
    const starts = isEarly ? entry.starts + 1 : 1;
    const retryAtMs = starts < 2 ? 0 : now + this.#backoffMs(starts - 1);
    return { ...fresh, ownerStartedAt, starts, startedAtMs: now, retryAtMs };
  }

  #backoffMs(failures: number): number {
    const ceiling = Math.min(backoffMs.first * 2 ** (failures - 1), backoffMs.max);
    return ceiling * (0.5 + this.#random() / 2);
  }
}

function isStart(action: Action): boolean {
  return action.kind === "create-sidecar" || action.kind === "create-gateway" || action.kind === "start-own";
}

function ownerStartOf(actions: readonly Action[]): string | null {
  const create = actions.find((action) => action.kind === "create-sidecar");
  return create?.sidecar.startedAt ?? null;
}
