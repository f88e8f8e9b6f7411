// Keeps the optional metrics listener where the Spec wants it: opens, moves and closes it as the Spec changes.
import type { Server } from "node:http";
import { listenForMetrics, type MetricsListenerOptions } from "./api/metrics-listener.ts";

type Place = { readonly host: string; readonly port: number } | null;

export class MetricsDoor implements AsyncDisposable {
  readonly #metrics: MetricsListenerOptions["metrics"];
  readonly #onProblem: (error: unknown) => void;
  #place: Place = null;
  #server: Server | null = null;
  #work: Promise<void> = Promise.resolve();

  /** `onProblem`: the port is taken; the mesh goes on without it. */
  constructor(metrics: MetricsListenerOptions["metrics"], onProblem: (error: unknown) => void) {
    this.#metrics = metrics;
    this.#onProblem = onProblem;
  }

  set(place: Place): void {
    if (place?.host === this.#place?.host && place?.port === this.#place?.port) return;
    this.#place = place;
    this.#work = this.#work.then(() => this.#move(place)).catch(this.#onProblem);
  }

  async #move(place: Place): Promise<void> {
    this.#server?.close();
    this.#server?.closeAllConnections();
    this.#server = null;
    if (place !== null) this.#server = await listenForMetrics({ ...place, metrics: this.#metrics });
  }

  async close(): Promise<void> {
    this.set(null);
    await this.#work;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
