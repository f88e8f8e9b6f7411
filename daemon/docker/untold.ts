// Whether the event stream tells everything: changes that a look finds must be told of by the next look.

/** Reopening costs a list; a stream that never tells is opened anew this seldom. */
const looksBetween = 5;

export class Untold {
  readonly #told = new Set<string>();
  #untold = new Set<string>();
  #looksToWait = 0;

  /** An event named this container. */
  told(id: string): void {
    this.#untold.delete(id);
    this.#told.add(id);
  }

  /** With what the look found changed. True: of what the look before had found, something was never told. */
  look(changed: readonly string[]): boolean {
    const areLost = this.#untold.size > 0 && this.#looksToWait <= 0;
    this.#looksToWait = areLost ? looksBetween : this.#looksToWait - 1;
    this.#untold = new Set(changed.filter((id) => !this.#told.has(id)));
    this.#told.clear();
    return areLost;
  }
}
