// Replaces proxies of another version one after the other: each is first taken out of the load balancing, and the next one has
// its turn only when the new one serves. What this daemon can speak with is replaced only on somebody's word.
import type { OwnContainer } from "./docker/world.ts";

/** For every proxy to learn that one is leaving; one that does not answer keeps the others for no longer. */
const syncMs = 5_000;
/** For the new one to serve: beyond it, the others stay as they are. */
const serveMs = 20_000;

export interface RenewalsDeps {
  /** Running sidecars and gateways of another version, in the order of their turns. */
  outdated(): readonly OwnContainer[];
  /** Resolves when a round of the loop has followed. */
  settle(): Promise<void>;
  /** Resolves when nothing is under way for this owner. */
  done(owner: string): Promise<void>;
  waitFor(isTrue: () => boolean, ms: number): Promise<boolean>;
  /** Every proxy that can be spoken with runs the newest config. */
  isSynced(): boolean;
  /** Whether this owner has a proxy that serves, other than that one. */
  serves(owner: string, butNot: OwnContainer): boolean;
  /** A sentence for people. */
  onEvent(text: string): void;
  onChange(): void;
}

/** What a round has to know. */
export interface Renewing {
  /** Owner that gets nothing new, where it has a replica; null: nobody leaves. */
  readonly leaving: string | null;
  /** Own ids that are to be replaced now. */
  readonly replaced: ReadonlySet<string>;
}

export class Renewals implements Renewing {
  readonly #deps: RenewalsDeps;
  readonly #replaced = new Set<string>();
  /** Own ids whose successor did not come up: they are not tried again. */
  readonly #failed = new Set<string>();
  #leaving: string | null = null;
  #isUnderWay = false;
  #isClosed = false;

  constructor(deps: RenewalsDeps) {
    this.#deps = deps;
  }

  get leaving(): string | null {
    return this.#leaving;
  }

  get replaced(): ReadonlySet<string> {
    return this.#replaced;
  }

  /** What is still to be done, for whoever waits for it. */
  get missing(): readonly string[] {
    return this.#isUnderWay ? this.#left().map(({ name }) => `${name}: waits to be replaced by this version's`) : [];
  }

  /** Does nothing where it is under way. Never rejects. */
  async run(): Promise<void> {
    if (this.#isUnderWay || this.#isClosed) return;
    this.#isUnderWay = true;
    try {
      for (let own = this.#next(); own !== undefined; own = this.#next()) await this.#renew(own);
    } finally {
      this.#isUnderWay = false;
      this.#deps.onChange();
    }
  }

  /** Begins no further one; what is under way is the runner's. */
  close(): void {
    this.#isClosed = true;
  }

  #left(): readonly OwnContainer[] {
    return this.#deps.outdated().filter(({ id }) => !this.#failed.has(id));
  }

  #next(): OwnContainer | undefined {
    return this.#isClosed ? undefined : this.#left()[0];
  }

  async #renew(own: OwnContainer): Promise<void> {
    const { settle, done, waitFor, isSynced, serves, onEvent } = this.#deps;
    this.#leaving = own.owner;
    await settle();
    await waitFor(isSynced, syncMs);
    this.#replaced.add(own.id);
    await settle();
    await done(own.owner);
    const isServing = await waitFor(() => serves(own.owner, own), serveMs);
    this.#replaced.delete(own.id);
    this.#leaving = null;
    if (!isServing) this.#failed.add(own.id);
    await settle();
    // The next may be a replica of this one: it leaves only when everybody knows that this one is back.
    await waitFor(isSynced, syncMs);
    onEvent(isServing ? `${own.name} is of this version now` : `${own.name} could not be replaced by this version's`);
  }
}
