// What sidecars and gateways have in common: identity, engine, control channel, and the moment from which they serve.

import { ControlServer } from "./control/control-server.ts";
import { Engine } from "./engine.ts";
import { seededRandom } from "./route/split.ts";
import type { Table } from "./route/table.ts";
import { AccessLog } from "./telemetry/access-log.ts";
import { Counters } from "./telemetry/counters.ts";
import { Identity } from "./tls/identity.ts";

const controlPath = "/run/devmesh/control.sock";
/** How long requests that are under way may take after SIGTERM; Docker kills after 10 s. */
const drainMs = 5000;

export class ProxyProcess {
  readonly counters: Counters;
  readonly log = new AccessLog(process.stdout);
  readonly identity = new Identity();
  readonly drainMs = drainMs;
  /** Resolves on SIGTERM, SIGINT or the daemon's word. */
  readonly stopped: Promise<void>;
  readonly #boot: string;
  readonly #stop: () => void;
  #engine: Engine | null = null;
  #isReady = false;
  #listens: boolean | null = null;
  #control: ControlServer | null = null;

  constructor(boot: string) {
    this.#boot = boot;
    this.counters = new Counters(boot);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.stopped = promise;
    this.#stop = () => {
      this.#isReady = false;
      resolve();
    };
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, this.#stop);
  }

  get isReady(): boolean {
    return this.#isReady;
  }

  /** `onRefused`: a connection to the application was refused. */
  engine(onApplied: (table: Table) => void, onRefused?: () => void): Engine {
    const { identity, counters, log } = this;
    const random = seededRandom(Number.parseInt(this.#boot.slice(0, 8), 16));
    this.#engine = new Engine({ identity, counters, log, random, onApplied, ...(onRefused && { onRefused }) });
    return this.#engine;
  }

  /** The last words: what was counted since the last report, and the lines that were not written yet. */
  async close(): Promise<void> {
    this.#control?.sendReport();
    this.#engine?.close();
    await this.log.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Whether the application listens on one of its ports; null: not known. The daemon is told. */
  setListens(listens: boolean | null): void {
    this.#listens = listens;
    this.#control?.sendApplication(listens);
  }

  /** Opens the control channel; `serve` runs once, when the first config and the first certificate are there. */
  async start(serve: () => void | Promise<void>): Promise<void> {
    const engine = this.#engine;
    if (engine === null) throw new Error("engine() comes before start()");
    const { promise: firstConfig, resolve: onConfig } = Promise.withResolvers<void>();
    const control: ControlServer = new ControlServer({
      path: controlPath,
      hello: () => ({
        boot: this.#boot,
        publicKey: this.identity.publicKeySpki,
        certificateNotAfterMs: this.identity.notAfterMs,
        listens: this.#listens,
      }),
      apply: (config) => {
        engine.apply(config);
        onConfig();
      },
      isReady: () => this.#isReady,
      onCertificate: (certificate) => this.identity.install(certificate),
      onDrain: this.#stop,
      report: (told) => this.counters.report(told),
      onReportDropped: () => this.counters.count("reportsDropped"),
      log: (line) => this.log.line(line),
    });
    this.#control = control;
    await control.listen();
    await Promise.race([this.stopped, Promise.all([firstConfig, this.identity.installed])]);
    if (!engine.isConfigured || !this.identity.isInstalled) return;
    await serve();
    this.#isReady = true;
    control.sendReady();
  }
}
