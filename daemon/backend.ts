// What the API serves: while the daemon starts it only answers pings, then it shows and does what the mesh's parts can.
import type { BlockedPort, DaemonPhase, LogLine, LogQuery, Ping } from "./api/messages.ts";
import { Problem } from "./api/problem.ts";
import type { ApiBackend } from "./api/server.ts";
import type { StatusView } from "./api/view.ts";

export type MeshBackend = Omit<ApiBackend, "ping" | "onChange">;

export class Backend implements ApiBackend {
  readonly #ping: Omit<Ping, "phase">;
  readonly #listeners = new Set<() => void>();
  #mesh: MeshBackend | null = null;
  #phase: DaemonPhase = "starting";

  constructor(ping: Omit<Ping, "phase">) {
    this.#ping = ping;
  }

  /** From now on everything is answered. One that only takes its mesh down is `ending` from the start. */
  open(mesh: MeshBackend, phase: DaemonPhase = "open"): void {
    this.#mesh = mesh;
    this.#phase = phase;
    this.changed();
  }

  changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  get #open(): MeshBackend {
    if (this.#mesh === null) throw new Problem("DM0201", "the daemon is starting", "try again in a moment");
    return this.#mesh;
  }

  ping(): Ping {
    return { ...this.#ping, phase: this.#phase };
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  status(): StatusView {
    return this.#open.status();
  }

  async recount(withinMs: number): Promise<StatusView> {
    return await this.#open.recount(withinMs);
  }

  missing(): readonly string[] {
    return this.#open.missing();
  }

  logs(query: LogQuery, signal: AbortSignal): AsyncIterable<LogLine> {
    return this.#open.logs(query, signal);
  }

  async reload(): Promise<void> {
    await this.#open.reload();
  }

  async renew(): Promise<void> {
    await this.#open.renew();
  }

  async blockedPorts(): Promise<readonly BlockedPort[]> {
    return this.#open.blockedPorts();
  }

  async metrics(): Promise<{ readonly contentType: string; readonly text: string }> {
    return this.#open.metrics();
  }

  async down(onStep: (text: string) => void): Promise<void> {
    const mesh = this.#open;
    this.#phase = "ending";
    await mesh.down(onStep);
  }
}
