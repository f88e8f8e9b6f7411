// Several streams of lines as one, in the order of their arrival; more may join while it runs.

/** Lines read but not yet taken; the sources wait meanwhile. */
const queueLinesMax = 1000;

export class LineMerge<T> implements AsyncDisposable {
  readonly #stop = new AbortController();
  readonly #signal: AbortSignal;
  readonly #readers = new Set<Promise<void>>();
  readonly #queue: T[] = [];
  #wake = Promise.withResolvers<void>();
  #room = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | null = null;
  #isComplete = false;

  constructor(signal?: AbortSignal) {
    this.#signal = signal === undefined ? this.#stop.signal : AbortSignal.any([signal, this.#stop.signal]);
  }

  /** The source ends on its signal at the latest. An error of one ends them all. */
  add(source: (signal: AbortSignal) => AsyncIterable<T>, onEnd: () => void = () => undefined): void {
    const reader = this.#read(source).finally(() => {
      this.#readers.delete(reader);
      onEnd();
      this.#wake.resolve();
    });
    this.#readers.add(reader);
  }

  /** Nothing more is added: the lines end when all sources have. */
  complete(): void {
    this.#isComplete = true;
    this.#wake.resolve();
  }

  /** To be read once. Ends on the signal too; throws the first error of a source. */
  async *lines(): AsyncGenerator<T> {
    const onAbort = (): void => this.#wake.resolve();
    this.#signal.addEventListener("abort", onAbort, { once: true });
    try {
      for (;;) {
        yield* this.#queue.splice(0);
        this.#room.resolve();
        this.#room = Promise.withResolvers();
        if (this.#failure !== null) throw this.#failure.error;
        if (this.#queue.length > 0) continue;
        if (this.#signal.aborted || (this.#isComplete && this.#readers.size === 0)) return;
        await this.#wake.promise;
        this.#wake = Promise.withResolvers();
      }
    } finally {
      this.#signal.removeEventListener("abort", onAbort);
      await this.close();
    }
  }

  async #read(source: (signal: AbortSignal) => AsyncIterable<T>): Promise<void> {
    try {
      for await (const line of source(this.#signal)) {
        this.#queue.push(line);
        this.#wake.resolve();
        while (this.#queue.length >= queueLinesMax && !this.#signal.aborted) await this.#room.promise;
      }
    } catch (error) {
      if (!this.#signal.aborted) this.#failure ??= { error };
    }
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#room.resolve();
    await Promise.all(this.#readers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
