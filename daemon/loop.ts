// The heart of reload: watchers only signal, and one loop runs one round at a time.

/** Signals that come together are one round. A fixed pause, not a debounce: steady signals must not put it off. */
export const pauseMs = 10;

export interface ReloadLoopOptions {
  /** Takes its own snapshots. May throw: the error is reported, and the next signal runs the next round. */
  round(): Promise<void>;
  onError(error: unknown): void;
  readonly pauseMs?: number;
}

export class ReloadLoop implements AsyncDisposable {
  readonly #options: ReloadLoopOptions;
  #isSignalled = false;
  #isClosed = false;
  #rounds = 0;
  #timer: NodeJS.Timeout | null = null;
  #running: Promise<void> | null = null;
  #waiting: (() => void)[] = [];

  constructor(options: ReloadLoopOptions) {
    this.#options = options;
  }

  get rounds(): number {
    return this.#rounds;
  }

  /** Something may have changed. Never blocks, never throws. */
  signal(): void {
    if (this.#isClosed) return;
    this.#isSignalled = true;
    if (this.#timer !== null || this.#running !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      this.#running = this.#run();
    }, this.#options.pauseMs ?? pauseMs);
  }

  async #run(): Promise<void> {
    this.#isSignalled = false;
    // Only what was asked before this round's snapshots were taken is answered by it.
    const answered = this.#waiting.splice(0);
    try {
      await this.#options.round();
    } catch (error) {
      this.#options.onError(error);
    }
    this.#rounds++;
    this.#running = null;
    for (const resolve of answered) resolve();
    if (this.#isSignalled) this.signal();
  }

  /** Signals, and resolves when a round that began after this call has ended. */
  async settled(): Promise<void> {
    if (this.#isClosed) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push(resolve);
    this.signal();
    await promise;
  }

  /** Lets a round that runs end. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#isSignalled = false;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    await this.#running;
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
