// Reads what the namespaces counted past their proxies: every few seconds, before a sidecar goes, and when somebody asks.
import { type BypassCounts, readBypassCounts } from "../proxy/contract/bypass.ts";
import type { BypassEdge, BypassLedger, Party } from "./telemetry/bypass-ledger.ts";

/** An exec costs the engine some 50 ms of CPU. The kernel counts on by itself, so rarer readings lose nothing. */
const everyMs = 10_000;
const readsAtOnceMax = 4;
/** What one reading may take; a sidecar that does not answer must not hold up the others for longer. */
const readTimeoutMs = 5_000;
/** A sidecar that is to be removed waits for its last reading no longer than this. */
const lastReadingMs = 1_000;

/** Containers of which a part was never read; further ones are not listed by name. */
const missedMax = 20;

/** A container whose traffic a sidecar should count. */
export interface CountedNamespace {
  /** Unique for each start of a container. */
  readonly key: string;
  /** Its sidecar, or null where none runs. */
  readonly ownId: string | null;
  /** False: the container has ended, or is on its way out of the mesh. */
  readonly isWanted: boolean;
  readonly owner: Party;
}

export interface BypassWatchDeps {
  readonly ledger: BypassLedger;
  /** What `bypassCommand` prints in that sidecar. */
  read(ownId: string, timeoutMs: number): Promise<string>;
  namespaces(): readonly CountedNamespace[];
  owners(): Iterable<readonly [address: string, owner: Party]>;
  /** Milliseconds that only grow. */
  now(): number;
  /** Something was counted. */
  onChange(): void;
}

export interface BypassReading {
  readonly edges: readonly BypassEdge[];
  /** True: every namespace was read since the call, and none ended unread; what `edges` says is all. */
  readonly isComplete: boolean;
  /** Containers that could not be counted for, and why. */
  readonly unread: readonly Unread[];
}

interface Unread {
  readonly container: string;
  readonly reason: string;
}

interface Outcome {
  readonly owner: Party;
  readonly generation: number;
  /** Of the last reading that worked. */
  readonly atMs: number;
  /** Of the last reading, when that one failed. */
  readonly error: string | null;
  /** Nothing was to come after it. */
  readonly isLast: boolean;
}

const unreadYet = { generation: 0, atMs: Number.NEGATIVE_INFINITY, error: null, isLast: false } as const;

export class BypassWatch implements AsyncDisposable {
  readonly #deps: BypassWatchDeps;
  /** By namespace. */
  readonly #outcomes = new Map<string, Outcome>();
  readonly #missed = new Map<string, string>();
  #timer: NodeJS.Timeout | null = null;
  #round: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #isClosed = false;

  constructor(deps: BypassWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#timer ??= setInterval(() => {
      if (this.#round === null) void this.#readAll();
    }, everyMs).unref();
  }

  /** Remembers who has which address, and who is to be read before it ends: call with each World. */
  learn(): void {
    const { ledger, owners, namespaces } = this.#deps;
    ledger.learn(owners());
    for (const { key, ownId, owner } of namespaces()) {
      if (ownId !== null && !this.#outcomes.has(key)) this.#outcomes.set(key, { ...unreadYet, owner });
    }
  }

  /** Reads all, at most for `withinMs`, and tells what is known then. What was read before the call does not count as read. */
  async recount(withinMs: number): Promise<BypassReading> {
    const sinceMs = this.#deps.now();
    // A round that is under way may have passed a sidecar by; the next one is shared by all who wait for it.
    this.#next ??= (this.#round ?? Promise.resolve()).then(() => {
      this.#next = null;
      return this.#readAll();
    });
    await within(withinMs, this.#next);
    const unread = [...this.#missedOnes(), ...this.#unreadSince(sinceMs)];
    return { edges: this.#deps.ledger.edges(), isComplete: unread.length === 0, unread };
  }

  /** What is known without asking anybody. */
  view(): BypassReading {
    const failed = [...this.#outcomes.values()].flatMap(({ owner, error }) =>
      error === null ? [] : [{ container: owner.container, reason: error }],
    );
    return { edges: this.#deps.ledger.edges(), isComplete: false, unread: [...this.#missedOnes(), ...failed] };
  }

  /** A namespace ends with its last process, which is the sidecar: what it counted since the last reading would be lost. */
  async readBeforeRemoval(ownId: string): Promise<void> {
    const namespace = this.#deps.namespaces().find((one) => one.ownId === ownId);
    if (namespace === undefined || this.#isClosed) return;
    await within(lastReadingMs, this.#readOne(namespace, true));
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#round;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #readAll(): Promise<void> {
    if (this.#isClosed) return;
    this.#round = this.#readEach(this.#deps.namespaces());
    await this.#round;
    this.#round = null;
  }

  async #readEach(namespaces: readonly CountedNamespace[]): Promise<void> {
    this.learn();
    this.#dropEnded(namespaces);
    const waiting = namespaces[Symbol.iterator]();
    const readers = Array.from({ length: readsAtOnceMax }, async () => {
      for (const namespace of waiting) await this.#readOne(namespace, false);
    });
    await Promise.all(readers);
  }

  async #readOne({ key, ownId, isWanted, owner: named }: CountedNamespace, isLast: boolean): Promise<void> {
    const { ledger, read, now, onChange } = this.#deps;
    const before = this.#outcomes.get(key);
    if (ownId === null || before?.isLast === true) return;
    // One whose container is gone is known by the name that it had.
    const owner = isWanted ? named : (before?.owner ?? named);
    try {
      const counts: BypassCounts = readBypassCounts(await read(ownId, readTimeoutMs));
      const { generation } = counts;
      if (before !== undefined && before.generation !== 0 && generation !== before.generation) {
        this.#miss(owner, "its sidecar was replaced before its counters were read");
      }
      this.#outcomes.set(key, { owner, generation, atMs: now(), error: null, isLast });
      if (ledger.add(key, owner, counts)) onChange();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#outcomes.set(key, { ...(before ?? unreadYet), owner, error: reason });
    }
  }

  #dropEnded(namespaces: readonly CountedNamespace[]): void {
    const present = new Set(namespaces.map(({ key }) => key));
    for (const [key, { owner, isLast }] of this.#outcomes) {
      if (present.has(key)) continue;
      this.#outcomes.delete(key);
      this.#deps.ledger.forget(key);
      if (!isLast) this.#miss(owner, "it ended before its counters were read");
    }
  }

  #miss({ container }: Party, reason: string): void {
    if (this.#missed.size < missedMax) this.#missed.set(container, reason);
  }

  #missedOnes(): Unread[] {
    return [...this.#missed].map(([container, reason]) => ({ container, reason }));
  }

  #unreadSince(sinceMs: number): Unread[] {
    const wanted = this.#deps.namespaces().filter(({ isWanted }) => isWanted);
    return wanted.flatMap(({ key, ownId, owner: { container } }) => {
      const outcome = this.#outcomes.get(key);
      if (outcome !== undefined && outcome.atMs >= sinceMs) return [];
      const late = outcome?.error ?? "its sidecar did not answer in time";
      return [{ container, reason: ownId === null ? "its sidecar does not run" : late }];
    });
  }
}

async function within(ms: number, work: Promise<void>): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([work, late]);
  clearTimeout(timer);
}
