// The application behind this proxy, port by port: reached at the container's own addresses, never at 127.0.0.1
// (through loopback a database trusts strangers, and ports that were never meant for the network become public).
import net from "node:net";
import type { RetryConfig } from "../contract/config.ts";
import type { Failure } from "../http/failure.ts";
import type { Upstream } from "../http/stream.ts";
import { defaultLimits } from "../http1/limits.ts";
import { Http1Pool } from "../http1/pool.ts";
import type { Target } from "../route/routing.ts";

/** How long an idle connection to the application is kept. */
const idleMs = 60_000;
/** Local: a connect that takes longer means that the application's accept queue is full. */
const connectTimeoutMs = 10_000;
/** Ports times addresses; beyond it the one that was not asked for the longest goes, once its requests are answered. */
const poolsMax = 1024;

class ApplicationTarget implements Target {
  readonly host: string;
  readonly workload: string;
  readonly version = "unknown";
  readonly security = "none";
  readonly #pool: Http1Pool;
  readonly #onEnd: (target: ApplicationTarget, failure: Failure | null) => void;

  constructor(options: {
    address: string;
    port: number;
    workload: string;
    onEnd: (target: ApplicationTarget, failure: Failure | null) => void;
  }) {
    const { address, port } = options;
    this.host = `${address}:${port}`;
    this.workload = options.workload;
    this.#onEnd = options.onEnd;
    this.#pool = new Http1Pool({
      connect: () => net.connect({ host: address, port, allowHalfOpen: true, noDelay: true }),
      limits: defaultLimits,
      idleMs,
      connectTimeoutMs,
      describe: `the application of ${options.workload} at ${this.host}`,
    });
  }

  upstream(): Upstream {
    return this.#pool;
  }

  begin(): void {
    // Nothing is balanced here.
  }

  end(failure: Failure | null): void {
    this.#onEnd(this, failure);
  }

  drain(): void {
    this.#pool.drain();
  }

  close(): void {
    this.#pool.close();
  }
}

/** One port of the application. */
export class Application {
  readonly port: number;
  readonly addresses: readonly string[];
  /** Addresses are tried in turn: the application may be bound to one of them only. */
  readonly retry: RetryConfig;
  readonly #targets: ApplicationTarget[];
  /** Index of the address that answered last. */
  #preferred = 0;

  constructor(options: { port: number; addresses: readonly string[]; workload: string; onRefused: () => void }) {
    this.port = options.port;
    this.addresses = options.addresses;
    const attempts = options.addresses.length - 1;
    this.retry = { attempts, perTryTimeoutMs: 0, on: ["connect-failure"], statusCodes: [] };
    this.#targets = options.addresses.map(
      (address) =>
        new ApplicationTarget({
          address,
          port: options.port,
          workload: options.workload,
          onEnd: (target, failure) => {
            if (failure === null) this.#preferred = this.#targets.indexOf(target);
            else if (failure.flag === "UF") options.onRefused();
          },
        }),
    );
  }

  target(tried: readonly Target[]): Target | null {
    const preferred = this.#targets[this.#preferred];
    if (preferred !== undefined && !tried.includes(preferred)) return preferred;
    return this.#targets.find((target) => !tried.includes(target)) ?? preferred ?? null;
  }

  drain(): void {
    for (const target of this.#targets) target.drain();
  }

  close(): void {
    for (const target of this.#targets) target.close();
  }
}

/** Applications by port and addresses, kept across reloads. */
export class Applications {
  readonly #known = new Map<string, Application>();
  /** A connection to the application was refused, or did not come about. */
  readonly onRefused: () => void;

  constructor(onRefused: () => void = () => undefined) {
    this.onRefused = onRefused;
  }

  get(options: { port: number; addresses: readonly string[]; workload: string }): Application {
    const key = `${options.port}|${options.addresses.join()}`;
    const known = this.#known.get(key);
    if (known !== undefined) {
      this.#known.delete(key);
      this.#known.set(key, known);
      return known;
    }
    this.#makeRoom();
    const application = new Application({ ...options, onRefused: this.onRefused });
    this.#known.set(key, application);
    return application;
  }

  close(): void {
    for (const application of this.#known.values()) application.close();
    this.#known.clear();
  }

  /** A caller that names many ports must not cut the requests of others. */
  #makeRoom(): void {
    for (const [key, application] of this.#known) {
      if (this.#known.size < poolsMax) return;
      application.drain();
      this.#known.delete(key);
    }
  }
}
