// Runs planned actions: keys side by side, each key's actions in order, failures kept as values and tried again later.
import { Problem } from "../api/problem.ts";
import { type ActionFailure, Attempts } from "./attempts.ts";
import type { PerformContext } from "./create-own.ts";
import { EngineError } from "./engine.ts";
import type { Log } from "./log.ts";
import { performAction } from "./perform.ts";
import type { Action } from "./plan.ts";

/** Each starts a container or two: more at once only makes all of them slower. */
const keysAtOnceMax = 8;
/** Background work waits until nothing has been started for so long: while a project comes up it would only slow that down. */
const quietMs = 1_000;
/** Containers whose /etc/hosts is known to be clean; a forgotten one is cleaned once more. */
const hostsCleanedMax = 4096;

export interface ActionRunnerOptions extends PerformContext {
  readonly log: Log;
  readonly random: () => number;
  /** Milliseconds that only grow. */
  readonly now: () => number;
  /** The WorldWatch: a key is settled when the World shows what was done. */
  readonly world: { refresh(ids: readonly string[]): Promise<void>; relist(): Promise<void> };
  /** Time to plan again: something was done, or may be tried again. */
  readonly onSettled: () => void;
}

interface Group {
  readonly key: string;
  readonly actions: readonly Action[];
}

export class ActionRunner {
  readonly #options: ActionRunnerOptions;
  readonly #attempts: Attempts;
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries = new Map<string, NodeJS.Timeout>();
  readonly #hostsCleaned = new Set<string>();
  #waiting: Group[] = [];
  #background: Group[] = [];
  /** When the last work that somebody waits for was started or done. */
  #busyAtMs = Number.NEGATIVE_INFINITY;
  #quietTimer: NodeJS.Timeout | null = null;
  #isClosed = false;

  constructor(options: ActionRunnerOptions) {
    this.#options = options;
    this.#attempts = new Attempts(options);
  }

  /** By key: the application container's id, the gateway's key, or "network". */
  get failures(): ReadonlyMap<string, ActionFailure> {
    return this.#attempts.failures;
  }

  get hostsCleaned(): ReadonlySet<string> {
    return this.#hostsCleaned;
  }

  /** The whole plan. A key that is being worked on, or waits for its next try, is left out: the next plan has it again. */
  submit(plan: readonly Action[]): void {
    if (this.#isClosed) return;
    const byKey = Map.groupBy(plan, ({ key }) => key);
    for (const key of this.#attempts.keys()) {
      if (!byKey.has(key) && !this.#running.has(key)) this.#attempts.onWell(key);
    }
    // The newer plan knows better than what waits of the older.
    this.#waiting = [];
    this.#background = [];
    for (const [key, actions] of byKey) {
      if (this.#running.has(key)) continue;
      const waitMs = this.#attempts.waitMs(key, actions);
      if (waitMs > 0) this.#retryIn(key, waitMs);
      else (isBackground(actions) ? this.#background : this.#waiting).push({ key, actions });
    }
    this.#pump();
  }

  /** An image has come to the engine: what lacked one is tried again at once. */
  onImage(): void {
    const lacksImage = ({ error }: ActionFailure): boolean => error instanceof Problem && error.code === "DM0403";
    if (![...this.failures.values()].some(lacksImage)) return;
    this.#attempts.hurry(lacksImage);
    this.#options.onSettled();
  }

  /** The engine is back after a while in which it did not answer: what Docker refused meanwhile is tried again at once. */
  onEngineBack(): void {
    const wasRefused = ({ error }: ActionFailure): boolean => error instanceof EngineError;
    this.#attempts.hurry(wasRefused);
    this.#options.onSettled();
  }

  /** Resolves when nothing runs or waits for the key, background work apart. */
  async settled(key: string): Promise<void> {
    for (;;) {
      const running = this.#running.get(key);
      const isWaiting = this.#waiting.some((group) => group.key === key);
      if (running === undefined && !isWaiting) return;
      await (running ?? Promise.race(this.#running.values()));
    }
  }

  /** Starts nothing more and waits for what runs. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#waiting = [];
    this.#background = [];
    if (this.#quietTimer !== null) clearTimeout(this.#quietTimer);
    for (const timer of this.#retries.values()) clearTimeout(timer);
    await Promise.all(this.#running.values());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #pump(): void {
    while (this.#running.size < keysAtOnceMax) {
      const next = this.#waiting.shift();
      if (next === undefined) break;
      this.#busyAtMs = this.#options.now();
      this.#begin(next, () => {
        this.#busyAtMs = this.#options.now();
      });
    }
    this.#pumpBackground();
  }

  /** One at a time, and only in quiet times. */
  #pumpBackground(): void {
    if (this.#running.size > 0 || this.#background.length === 0) return;
    const waitMs = this.#busyAtMs + quietMs - this.#options.now();
    if (waitMs <= 0) {
      const next = this.#background.shift();
      if (next !== undefined) this.#begin(next, () => undefined);
      return;
    }
    this.#quietTimer ??= setTimeout(() => {
      this.#quietTimer = null;
      this.#pumpBackground();
    }, Math.ceil(waitMs));
  }

  #begin({ key, actions }: Group, onEnd: () => void): void {
    const work = this.#run(key, actions).then(() => {
      this.#running.delete(key);
      onEnd();
      if (this.#isClosed) return;
      this.#pump();
      this.#options.onSettled();
    });
    this.#running.set(key, work);
  }

  /** Never rejects. */
  async #run(key: string, actions: readonly Action[]): Promise<void> {
    const changed = new Set<string>();
    for (const action of actions) {
      if (!(await this.#perform(action, changed))) break;
    }
    if (key === "network") await this.#options.world.relist();
    else await this.#options.world.refresh([...changed]);
  }

  async #perform(action: Action, changed: Set<string>): Promise<boolean> {
    const { log } = this.#options;
    const { kind, key } = action;
    const startedAt = performance.now();
    try {
      for (const id of await performAction(this.#options, action)) changed.add(id);
      const ms = Math.round(performance.now() - startedAt);
      log.info({ action: kind, key, ms, ...("reason" in action && { reason: action.reason }) }, "done");
      this.#attempts.onDone(action);
      if (action.kind === "clean-hosts") this.#rememberCleaned(action.hostsKey);
      return true;
    } catch (error) {
      const reason = reasonOf(error);
      const { attempts, retryAtMs } = this.#attempts.onFailed(action, error as Error, reason);
      // What is tried again is planned again, from the World of that moment.
      this.#retryIn(key, retryAtMs - this.#options.now());
      log.warn({ action: kind, key, reason, attempts }, "failed, tried again later");
      for (const id of concernedBy(action)) changed.add(id);
      return false;
    }
  }

  #retryIn(key: string, waitMs: number): void {
    clearTimeout(this.#retries.get(key));
    const onTime = () => {
      this.#retries.delete(key);
      this.#options.onSettled();
    };
    this.#retries.set(key, setTimeout(onTime, Math.ceil(waitMs)));
  }

  #rememberCleaned(hostsKey: string): void {
    this.#hostsCleaned.add(hostsKey);
    for (const oldest of this.#hostsCleaned) {
      if (this.#hostsCleaned.size <= hostsCleanedMax) return;
      this.#hostsCleaned.delete(oldest);
    }
  }
}

/** Nobody waits for it, and it costs a container. */
function isBackground(actions: readonly Action[]): boolean {
  return actions.every(({ kind }) => kind === "clean-hosts");
}

/** A Problem says what to do next: whoever reads the status is who can do it. */
function reasonOf(error: unknown): string {
  if (error instanceof Problem) return `${error.message} (${error.code}); ${error.hint}`;
  const { message } = error as Error;
  return error instanceof EngineError ? `Docker: ${message}` : message;
}

/** A failed action may have failed because the World it was planned with is gone. */
function concernedBy(action: Action): string[] {
  if ("ownId" in action) return [action.ownId];
  if ("containerId" in action) return [action.containerId];
  return action.kind === "create-sidecar" ? [action.sidecar.containerId] : [];
}
