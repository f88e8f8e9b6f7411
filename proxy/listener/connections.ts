// Open connections of one kind, so that a drain reaches each of them.

export interface Drainable {
  /** Finish what is under way, then close. */
  drain(): void;
  close(): void;
}

export class Connections {
  readonly #open = new Set<Drainable>();
  #onEmpty: (() => void) | null = null;

  add(connection: Drainable): void {
    this.#open.add(connection);
  }

  remove(connection: Drainable): void {
    this.#open.delete(connection);
    if (this.#open.size === 0) this.#onEmpty?.();
  }

  get size(): number {
    return this.#open.size;
  }

  /** Resolves when all are closed, at the latest after `timeoutMs`, when what is left is cut. */
  async drain(timeoutMs: number): Promise<void> {
    for (const connection of [...this.#open]) connection.drain();
    if (this.#open.size === 0) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#onEmpty = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    for (const connection of [...this.#open]) connection.close();
  }
}
