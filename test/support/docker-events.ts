// Docker's events of some containers while a test runs, with the engine's own times.
import { type ChildProcess, spawn } from "node:child_process";
import { eventually } from "./eventually.ts";

export interface DockerEvent {
  readonly action: string;
  readonly id: string;
  /** Wall clock, milliseconds. */
  readonly atMs: number;
}

export class DockerEvents implements AsyncDisposable {
  readonly seen: DockerEvent[] = [];
  readonly #child: ChildProcess;

  /** `filters` as `docker events --filter` takes them. */
  constructor(...filters: readonly string[]) {
    // From now on, also if the command itself takes a while to start.
    const since = String(Date.now() / 1000);
    const args = [
      "events",
      "--since",
      since,
      "--format",
      "{{json .}}",
      ...filters.flatMap((filter) => ["--filter", filter]),
    ];
    this.#child = spawn("docker", args, { stdio: ["ignore", "pipe", "ignore"] });
    this.#child.on("error", () => undefined);
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const { Action: action, Actor: actor, timeNano } = JSON.parse(line);
        this.seen.push({ action, id: actor.ID, atMs: timeNano / 1e6 });
      }
    });
  }

  /** The first such event at or after `sinceMs`, waited for. */
  async at(id: string, action: string, sinceMs: number, timeoutMs = 15_000): Promise<number> {
    return await eventually(() => {
      const found = this.seen.find((event) => event.id === id && event.action === action && event.atMs >= sinceMs);
      if (found === undefined) throw new Error(`no ${action} of ${id} since ${sinceMs}`);
      return found.atMs;
    }, timeoutMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once("close", resolve));
    if (this.#child.exitCode !== null) return;
    this.#child.kill("SIGKILL");
    await closed;
  }
}
