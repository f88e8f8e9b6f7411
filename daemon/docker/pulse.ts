// Looks at the engine's containers every second: whether it answers at all, and what happened that no event told of.
import { setTimeout as delay } from "node:timers/promises";
import { type Engine, EngineError } from "./engine.ts";
import type { Log } from "./log.ts";
import { type Look, readLook } from "./look.ts";

const everyMs = 1000;
/** While it refuses connections it is most likely starting. */
const everyRefusedMs = 250;
/** An engine that is this late is taken for frozen; each time in a row it gets longer, so that a slow one is never given up. */
const patienceMs = { first: 3000, max: 10_000 } as const;
/** Of the time that its last answer took. */
const patienceFactor = 3;

export interface PulseOptions {
  readonly engine: Engine;
  readonly log: Log;
  /** Label filters; Docker joins several by AND, so each is a list of its own. */
  readonly labels: readonly string[];
  readonly onLook: (look: Look) => void;
  /** Once, when it stops answering. */
  readonly onSilent: (reason: string) => void;
  /** Once, when it answers again. */
  readonly onBack: () => void;
  /** Tests shorten it. */
  readonly everyMs?: number;
}

export class Pulse implements AsyncDisposable {
  readonly #options: PulseOptions;
  readonly #abort = new AbortController();
  readonly #running: Promise<void>;
  #patienceMs: number = patienceMs.first;
  #isSilent = false;

  constructor(options: PulseOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    let pauseMs = this.#options.everyMs ?? everyMs;
    for (;;) {
      // Rejects only when it is closed.
      await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      const isRefused = await this.#beat();
      pauseMs = isRefused ? everyRefusedMs : (this.#options.everyMs ?? everyMs);
    }
  }

  /** True: it was there to refuse, or not there at all, and said so without delay. */
  async #beat(): Promise<boolean> {
    const { engine, log, labels, onLook, onSilent, onBack } = this.#options;
    const { signal } = this.#abort;
    const startedAt = performance.now();
    const list = (label: string): Promise<unknown> => {
      const query = { all: true, filters: { label: [label] } };
      return engine.call({ method: "GET", path: "/containers/json", query, timeoutMs: this.#patienceMs, signal });
    };
    try {
      const look = readLook(await Promise.all(labels.map(list)));
      const tookMs = performance.now() - startedAt;
      this.#patienceMs = Math.min(Math.max(patienceMs.first, patienceFactor * tookMs), patienceMs.max);
      if (this.#isSilent) onBack();
      this.#isSilent = false;
      onLook(look);
      return false;
    } catch (error) {
      if (signal.aborted) return false;
      const isLate = error instanceof EngineError && error.code === "ETIMEDOUT";
      log.debug({ err: error }, "the engine did not answer");
      // The idle connections lead to where nobody answered.
      if (isLate) engine.dropIdle();
      if (!this.#isSilent) onSilent(`the engine does not answer: ${(error as Error).message}`);
      this.#isSilent = true;
      if (isLate) this.#patienceMs = Math.min(this.#patienceMs * 2, patienceMs.max);
      return !isLate;
    }
  }
}
