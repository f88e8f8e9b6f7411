// Owns one session per running sidecar and gateway: starts and ends them as the World changes, hands each its config.
import type { Duplex } from "node:stream";
import type { ProxyConfig } from "../../proxy/contract/config.ts";
import type { Report } from "../../proxy/contract/report.ts";
import { renewalCheckMs } from "../ca/renewal.ts";
import type { OwnContainer } from "../docker/world.ts";
import { ProxySession, type SessionStatus, type SignedForProxy } from "./proxy-session.ts";

export interface FleetDeps {
  /** `servingKey` of proxies that served under an earlier daemon. */
  readonly wasServing: ReadonlySet<string>;
  open(containerId: string): Promise<Duplex>;
  nextEpoch(): Promise<number>;
  sign(spki: Uint8Array<ArrayBuffer>, identity: string): Promise<SignedForProxy>;
  /** The wall clock that proxies have. */
  now(): number;
  /** Of the certificates that would be signed now. */
  lifetimeMs(): number;
  log(level: "debug" | "info" | "warn", own: OwnContainer, text: string): void;
  onReport(own: OwnContainer, report: Report, isResumed: boolean): void;
  /** The container is gone for good, or began anew. */
  onGone(own: OwnContainer): void;
  /** Some session's status changed: coalesce. */
  onChange(): void;
}

export interface ProxyStatus extends SessionStatus {
  readonly own: OwnContainer;
}

interface Member {
  readonly own: OwnContainer;
  readonly session: ProxySession;
}

export class Fleet implements AsyncDisposable {
  readonly #deps: FleetDeps;
  /** By own container's id. A restarted container is a new process and gets a new session. */
  readonly #members = new Map<string, Member>();
  readonly #waiting = new Set<() => void>();
  readonly #renewals: NodeJS.Timeout;

  constructor(deps: FleetDeps) {
    this.#deps = deps;
    this.#renewals = setInterval(() => {
      for (const { session } of this.#members.values()) session.renewIfDue();
    }, renewalCheckMs).unref();
  }

  /** Call with each World: begins and ends sessions. Cheap when nothing changed. */
  follow(own: readonly OwnContainer[]): void {
    const running = new Map(own.filter(hasChannel).map((one) => [one.id, one]));
    for (const [id, member] of this.#members) {
      if (running.get(id)?.startedAt === member.own.startedAt) continue;
      member.session.close();
      this.#members.delete(id);
      this.#deps.onGone(member.own);
    }
    for (const one of running.values()) if (!this.#members.has(one.id)) this.#begin(one);
  }

  #begin(own: OwnContainer): void {
    const session = new ProxySession({
      wasServing: this.#deps.wasServing.has(servingKey(own)),
      open: () => this.#deps.open(own.id),
      nextEpoch: () => this.#deps.nextEpoch(),
      sign: (spki, identity) => this.#deps.sign(spki, identity),
      now: () => this.#deps.now(),
      lifetimeMs: () => this.#deps.lifetimeMs(),
      log: (level, text) => this.#deps.log(level, own, text),
      onReport: (report, isResumed) => this.#deps.onReport(own, report, isResumed),
      onChange: () => this.#changed(),
    });
    this.#members.set(own.id, { own, session });
  }

  #changed(): void {
    for (const check of [...this.#waiting]) check();
    this.#deps.onChange();
  }

  /** Configs by owner key: the application container's id, or the gateway's listener key. */
  push(configs: ReadonlyMap<string, ProxyConfig>): void {
    for (const { own, session } of this.#members.values()) {
      const config = configs.get(own.owner);
      if (config !== undefined) session.setConfig(config);
    }
  }

  statuses(): readonly ProxyStatus[] {
    return [...this.#members.values()].map(({ own, session }) => ({ own, ...session.status }));
  }

  status(ownId: string): ProxyStatus | null {
    const member = this.#members.get(ownId);
    return member === undefined ? null : { own: member.own, ...member.session.status };
  }

  /** Own ids of sidecars that serve, and whose application does. */
  servingSidecars(): ReadonlySet<string> {
    return new Set(
      this.statuses()
        .filter(({ own, isReady, listens }) => own.kind === "sidecar" && isReady && listens !== false)
        .map(({ own }) => own.id),
    );
  }

  /** Own ids whose contract is another major version: to be replaced. */
  incompatible(): ReadonlySet<string> {
    return new Set(
      this.statuses()
        .filter(({ state }) => state === "incompatible")
        .map(({ own }) => own.id),
    );
  }

  /** The engine answers after a while in which it did not. */
  hurry(): void {
    for (const { session } of this.#members.values()) session.hurry();
  }

  drain(ownId: string): void {
    this.#members.get(ownId)?.session.drain();
  }

  /** True when that proxy serves; false when `ms` pass first. It need not be known yet. */
  waitReady(ownId: string, ms: number): Promise<boolean> {
    return this.waitFor(() => this.status(ownId)?.isReady === true, ms);
  }

  /** True as soon as it is known of every proxy whether it serves; false when `ms` pass first. */
  waitAdopted(ms: number): Promise<boolean> {
    return this.waitFor(() => this.statuses().every(({ state, isReady }) => isReady || state !== "connecting"), ms);
  }

  /** Checks now and after each change of any session. */
  waitFor(isTrue: () => boolean, ms: number): Promise<boolean> {
    if (isTrue()) return Promise.resolve(true);
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const finish = (result: boolean): void => {
      clearTimeout(timer);
      this.#waiting.delete(check);
      resolve(result);
    };
    const check = (): void => {
      if (isTrue()) finish(true);
    };
    const timer = setTimeout(() => finish(false), ms);
    this.#waiting.add(check);
    return promise;
  }

  close(): void {
    clearInterval(this.#renewals);
    for (const { session } of this.#members.values()) session.close();
    this.#members.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}

/** Names one run of one container. */
export function servingKey({ id, startedAt }: OwnContainer): string {
  return `${id}@${startedAt}`;
}

function hasChannel({ kind, state }: OwnContainer): boolean {
  return kind !== "one-shot" && state === "running";
}
