// The engine's event stream, kept open: reconnects where it left off, says once what it saw twice. Whether it tells everything
// is seen elsewhere: pulse.ts.
import type { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import type { Engine } from "./engine.ts";
import { createEventParser, type EngineEvent, eventKey, sinceOf } from "./event-lines.ts";
import type { Log } from "./log.ts";

/** A local engine is asked often: how soon it is found after its restart decides how soon containers have sidecars. */
const backoffMs = { first: 100, max: 500, maxOverSsh: 5000 } as const;
/** Asked for again after a reconnect: the engine's own clock may step, and events are not quite in order. */
const overlapMs = 2000;
/** Of events that were delivered, to recognise repetitions within the overlap. */
const seenEventsMax = 4096;
/** Streams go silent without closing (docker-java #1369): after this one is opened anew in any case. Nothing is lost by it. */
const reopenAfterSilenceMs = 300_000;
const silenceCheckMs = 10_000;

const actions = ["create", "start", "die", "kill", "oom", "stop", "restart", "pause", "unpause", "rename", "update"];
/** An image that was missing may be there now. */
const imageActions = ["tag", "load", "pull", "import"];
const filters = {
  type: ["container", "network", "image"],
  event: [...actions, "destroy", "remove", "health_status", "connect", "disconnect", ...imageActions],
};

export interface EventStreamOptions {
  readonly engine: Engine;
  readonly log: Log;
  /** 0 to 1, for jitter. */
  readonly random: () => number;
  readonly onEvent: (event: EngineEvent) => void;
  /** Each time that the stream is open: from here on nothing is missed, so this is the moment to list. */
  readonly onConnected: () => void;
  readonly onDisconnected: (reason: string) => void;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  readonly #abort = new AbortController();
  readonly #seen = new Set<string>();
  readonly #running: Promise<void>;
  #lastTimeNano = "";
  #stream: Readable | null = null;
  #heardAt = 0;
  #pause = new AbortController();

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /** Drops the connection; it is opened again, with everything since. */
  reopen(reason: string): void {
    this.#stream?.destroy(new Error(reason));
  }

  /** The engine answers: a next try that waits for its time is made now. */
  hurry(): void {
    this.#pause.abort();
  }

  async close(): Promise<void> {
    this.#abort.abort();
    this.#stream?.destroy();
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    for (let failures = 0; !signal.aborted; failures++) {
      try {
        this.#stream = await this.#open();
        failures = 0;
        this.#options.onConnected();
        await this.#read(this.#stream);
        if (!signal.aborted) this.#options.onDisconnected("the event stream ended");
      } catch (error) {
        if (!signal.aborted) this.#options.onDisconnected((error as Error).message);
      }
      this.#stream?.destroy();
      this.#stream = null;
      await this.#wait(failures);
    }
  }

  async #wait(failures: number): Promise<void> {
    const { engine, random } = this.#options;
    const maxMs = engine.url.startsWith("ssh:") ? backoffMs.maxOverSsh : backoffMs.max;
    const ceiling = Math.min(backoffMs.first * 2 ** failures, maxMs);
    this.#pause = new AbortController();
    const signal = AbortSignal.any([this.#abort.signal, this.#pause.signal]);
    // Rejects when it is closed or hurried.
    await delay(ceiling * (0.5 + random() / 2), undefined, { signal }).catch(() => undefined);
  }

  async #open(): Promise<Readable> {
    const since = this.#lastTimeNano === "" ? undefined : sinceOf(this.#lastTimeNano, overlapMs);
    const query = { filters, since };
    return this.#options.engine.stream({ method: "GET", path: "/events", query, signal: this.#abort.signal });
  }

  async #read(stream: Readable): Promise<void> {
    const parse = createEventParser((event) => this.#deliver(event));
    this.#heardAt = performance.now();
    const watchdog = setInterval(() => {
      if (performance.now() - this.#heardAt < reopenAfterSilenceMs) return;
      stream.destroy(new Error("the event stream was silent for too long"));
    }, silenceCheckMs);
    watchdog.unref();
    stream.setEncoding("utf8");
    try {
      for await (const text of stream) {
        this.#heardAt = performance.now();
        parse(text as string);
      }
    } finally {
      clearInterval(watchdog);
    }
  }

  #deliver(event: EngineEvent): void {
    const key = eventKey(event);
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= seenEventsMax) break;
      this.#seen.delete(oldest);
    }
    if (this.#lastTimeNano === "" || BigInt(event.timeNano) > BigInt(this.#lastTimeNano)) {
      this.#lastTimeNano = event.timeNano;
    }
    this.#options.onEvent(event);
  }
}
