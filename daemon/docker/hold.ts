// Freezes a container from its start until its sidecar is ready, so that nothing it sends goes past the mesh.
import { setTimeout as delay } from "node:timers/promises";
import { pauseContainer, unpauseContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import type { Log } from "./log.ts";
import type { Container } from "./world.ts";
import type { WorldEvent } from "./world-watch.ts";

/** Attaching takes 0.2 s, on a busy machine seconds; longer than this the guard has to do. */
const attachMaxMs = 5000;
const readyMaxMs = 1000;
/** A container that cannot be unpaused is tried again each second for a minute, and by the next daemon. */
const unpauseEveryMs = 1000;
const unpauseAttemptsMax = 60;

/** What is paused by us, on disk: a new daemon, or `down`, unpauses what a killed one left. */
export interface PauseJournal {
  add(containerId: string): Promise<void>;
  remove(containerId: string): Promise<void>;
  list(): Promise<readonly string[]>;
}

export interface HoldGateOptions {
  readonly engine: Engine;
  readonly journal: PauseJournal;
  readonly log: Log;
  readonly world: {
    snapshot(): { readonly containers: readonly Container[] };
    refresh(ids: readonly string[]): Promise<void>;
    onEvent(listener: (event: WorldEvent) => void): () => void;
  };
  /** Whether the mesh wants it: it will get a sidecar, and `hold` is on for it. */
  readonly shouldHold: (container: Container) => boolean;
  /** Attaches a sidecar; its id, or null when it got none. */
  readonly attach: (container: Container) => Promise<string | null>;
  /** True when the proxy was ready within the time. */
  readonly waitReady: (sidecarId: string, timeoutMs: number) => Promise<boolean>;
  /** One that was held runs again, or turned out not to be held. */
  readonly onReleased?: () => void;
}

export class HoldGate {
  readonly #options: HoldGateOptions;
  readonly #held = new Map<string, Promise<void>>();
  readonly #abort = new AbortController();
  readonly #unsubscribe: () => void;

  constructor(options: HoldGateOptions) {
    this.#options = options;
    this.#unsubscribe = options.world.onEvent((event) => {
      if (event.action === "start") this.#onStart(event.containerId);
    });
  }

  /** Containers that are frozen by us at this moment: for the World they are paused, for the mesh they are starting. */
  get held(): ReadonlySet<string> {
    return new Set(this.#held.keys());
  }

  /** Takes no more, and waits until everything that was held runs again. */
  async close(): Promise<void> {
    this.#unsubscribe();
    this.#abort.abort();
    await Promise.all(this.#held.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #onStart(id: string): void {
    // One that was restarted while it was held is left to the guard.
    if (this.#held.has(id) || this.#abort.signal.aborted) return;
    const work = this.#hold(id)
      .catch((error: unknown) => this.#options.log.warn({ id, err: error }, "a container could not be held"))
      .finally(() => {
        this.#held.delete(id);
        this.#options.onReleased?.();
      });
    this.#held.set(id, work);
  }

  async #hold(id: string): Promise<void> {
    const { engine, journal, shouldHold } = this.#options;
    const container = await this.#find(id);
    // A pause fails health checks: the container would be unhealthy until its next probe.
    if (container === undefined || container.hasHealthcheck || !shouldHold(container)) return;
    await journal.add(id); // First: a daemon that is killed between the two leaves nothing frozen.
    let isPaused = true;
    try {
      // False: it ended already, or somebody else paused it, who will also unpause it.
      isPaused = await pauseContainer(engine, id);
      if (isPaused) await this.#attach(container);
    } finally {
      if (isPaused) await this.#release(id);
      else await journal.remove(id);
    }
  }

  async #find(id: string): Promise<Container | undefined> {
    const { world } = this.#options;
    const find = () => world.snapshot().containers.find((container) => container.id === id);
    const known = find();
    if (known !== undefined) return known;
    await world.refresh([id]);
    return find();
  }

  async #attach(container: Container): Promise<void> {
    const { attach, waitReady, log } = this.#options;
    const { name } = container;
    const stop = new AbortController();
    const { signal } = this.#abort;
    const deadline = delay(attachMaxMs, null, { signal: AbortSignal.any([signal, stop.signal]) }).catch(() => null);
    try {
      const sidecarId = await Promise.race([attach(container), deadline]);
      const isReady = sidecarId !== null && (await Promise.race([waitReady(sidecarId, readyMaxMs), deadline]));
      if (isReady !== true) log.warn({ container: name }, "its sidecar was not ready in time; the guard covers it");
    } catch (error) {
      log.warn({ container: name, err: error }, "attaching failed while it was held");
    } finally {
      stop.abort();
    }
  }

  async #release(id: string): Promise<void> {
    const { engine, journal, log } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        await releaseContainer(engine, journal, id);
        return;
      } catch (error) {
        log.warn({ id, attempt, err: error }, "a held container could not be unpaused");
        if (attempt >= unpauseAttemptsMax || this.#abort.signal.aborted) return; // It stays in the journal.
        await delay(unpauseEveryMs, undefined, { signal: this.#abort.signal }).catch(() => undefined);
      }
    }
  }
}

/** Unpauses everything that the journal names, at a daemon's start and at `down`. Throws when one stays paused. */
export async function releaseLeftovers(engine: Engine, journal: PauseJournal): Promise<string[]> {
  const ids = await journal.list();
  for (const id of ids) await releaseContainer(engine, journal, id);
  return [...ids];
}

async function releaseContainer(engine: Engine, journal: PauseJournal, id: string): Promise<void> {
  await unpauseContainer(engine, id);
  await journal.remove(id);
}
