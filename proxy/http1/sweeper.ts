// One coarse timer for every connection: a deadline is a number that a request may move for free, and is looked at twice a second.

const everyMsDefault = 500;

export interface Swept {
  /** Called every tick with the clock's time in milliseconds. */
  sweep(nowMs: number): void;
}

export class Sweeper {
  readonly #members = new Set<Swept>();
  readonly #everyMs: number;
  readonly #clock: () => number;
  #timer: NodeJS.Timeout | null = null;

  constructor(options: { readonly everyMs?: number; readonly clock?: () => number } = {}) {
    this.#everyMs = options.everyMs ?? everyMsDefault;
    this.#clock = options.clock ?? (() => performance.now());
  }

  now(): number {
    return this.#clock();
  }

  /** The timer runs while there are members, and never keeps the process alive. */
  add(member: Swept): void {
    this.#members.add(member);
    this.#timer ??= setInterval(() => this.#sweep(), this.#everyMs).unref();
  }

  remove(member: Swept): void {
    this.#members.delete(member);
    if (this.#members.size === 0) this.close();
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #sweep(): void {
    const now = this.#clock();
    for (const member of this.#members) member.sweep(now);
  }
}

/** Shared by every connection that is not given another. */
export const processSweeper = new Sweeper();
