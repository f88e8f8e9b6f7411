// Files that are written behind: the newest of each wins, and what could not be written is tried again until it is.
import { type WriteOptions, writeJson } from "./store.ts";

const retryMsDefault = 1000;

interface Unwritten {
  readonly value: unknown;
  readonly options: WriteOptions | undefined;
}

export class StateWriter implements AsyncDisposable {
  readonly #onTrouble: (trouble: Error | null) => void;
  readonly #retryMs: number;
  /** By file: what is not on disk yet. */
  readonly #unwritten = new Map<string, Unwritten>();
  readonly #writing = new Map<string, Promise<void>>();
  readonly #failed = new Map<string, Error>();
  #timer: NodeJS.Timeout | null = null;
  #isClosed = false;

  /** `onTrouble`: the first file could not be written (a Problem DM0402 when a person can mend it); null: all of them are. */
  constructor({ onTrouble = (_trouble: Error | null): void => undefined, retryMs = retryMsDefault } = {}) {
    this.#onTrouble = onTrouble;
    this.#retryMs = retryMs;
  }

  /** Why something is not on disk; null: nothing is missing. */
  get trouble(): Error | null {
    const [first] = this.#failed.values();
    return first ?? null;
  }

  /** Settles with the next try; rejects when it fails, and is tried again all the same. */
  write(file: string, value: unknown, options?: WriteOptions): Promise<void> {
    this.#unwritten.set(file, { value, options });
    return this.#try(file);
  }

  /** One last try, and no further ones. Never rejects. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const file of this.#failed.keys()) void this.#try(file).catch(() => undefined);
    await Promise.allSettled(this.#writing.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** One write after the other: each holds everything, and the last one must win. */
  #try(file: string): Promise<void> {
    const before = this.#writing.get(file) ?? Promise.resolve();
    const writing = before.catch(() => undefined).then(() => this.#write(file));
    this.#writing.set(file, writing);
    return writing;
  }

  async #write(file: string): Promise<void> {
    const newest = this.#unwritten.get(file);
    if (newest === undefined) return; // The write before took it along.
    try {
      await writeJson(file, newest.value, newest.options);
    } catch (error) {
      const isFirst = this.#failed.size === 0;
      this.#failed.set(file, error as Error);
      this.#retryLater();
      if (isFirst) this.#onTrouble(error as Error);
      throw error;
    }
    if (this.#unwritten.get(file) === newest) this.#unwritten.delete(file);
    if (this.#failed.delete(file) && this.#failed.size === 0) this.#onTrouble(null);
  }

  #retryLater(): void {
    if (this.#timer !== null || this.#isClosed) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      for (const file of this.#failed.keys()) void this.#try(file).catch(() => undefined);
    }, this.#retryMs);
  }
}
