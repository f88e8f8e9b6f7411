// Knows whether the application behind this proxy listens. Looks often only while it does not: while it starts, and after a
// refused connection. A container that was just started, or whose server restarts inside it, takes no traffic until then.

const lookEveryMs = { first: 25, factor: 1.1, max: 500 } as const;
/** Refusals on one port while another is listened on say nothing new; they are looked into this often at most. */
const refusalEveryMs = 100;

export class ApplicationWatch {
  readonly #listening: () => ReadonlySet<number> | null;
  readonly #onChange: (listens: boolean | null) => void;
  #ports: readonly number[] = [];
  #listens: boolean | null = null;
  #timer: NodeJS.Timeout | null = null;
  #everyMs: number = lookEveryMs.first;
  #lookedAt = Number.NEGATIVE_INFINITY;

  constructor(deps: {
    /** Ports that are listened on; null: cannot be told. */
    readonly listening: () => ReadonlySet<number> | null;
    readonly onChange: (listens: boolean | null) => void;
  }) {
    this.#listening = deps.listening;
    this.#onChange = deps.onChange;
  }

  /** True when it listens on at least one of its ports; null when it has none that are known, or it cannot be told. */
  get listens(): boolean | null {
    return this.#listens;
  }

  /** The application's ports. Looks at once. */
  follow(ports: readonly number[]): void {
    this.#ports = ports;
    this.#look();
  }

  /** A connection to the application was refused. */
  refused(): void {
    if (this.#timer === null && performance.now() - this.#lookedAt >= refusalEveryMs) this.#look();
  }

  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#ports = [];
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  #look(): void {
    this.#lookedAt = performance.now();
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    const open = this.#ports.length === 0 ? null : this.#listening();
    const listens = open === null ? null : this.#ports.some((port) => open.has(port));
    if (listens === false) {
      this.#timer = setTimeout(() => this.#look(), this.#everyMs);
      this.#everyMs = Math.min(this.#everyMs * lookEveryMs.factor, lookEveryMs.max);
    } else this.#everyMs = lookEveryMs.first;
    if (listens === this.#listens) return;
    this.#listens = listens;
    this.#onChange(listens);
  }
}
