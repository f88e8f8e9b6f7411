// Writes to the Redis of a project during the whole soak, through the mesh, and what became of those that were acknowledged.
import { type ChildProcess, spawn } from "node:child_process";
import { eventually } from "../support/eventually.ts";
import type { FaultProject } from "../support/fault-project.ts";

export class Writes implements AsyncDisposable {
  readonly acknowledged = new Set<number>();
  readonly #project: FaultProject;
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;

  private constructor(project: FaultProject, pid: string) {
    this.#project = project;
    const command = ["-t", pid, "-n", "-m", "node", "/apps/writer.ts", "redis", "6379"];
    const env = { PATH: "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin" };
    this.#child = spawn("nsenter", command, { env, stdio: ["pipe", "pipe", "inherit"] });
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.on("error", () => undefined);
    this.#child.stdin?.on("error", () => undefined);
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.acknowledged.add(Number(line));
    });
  }

  static async start(project: FaultProject): Promise<Writes> {
    const client = await project.container("client");
    const writes = new Writes(project, await project.docker("inspect", "-f", "{{.State.Pid}}", client));
    await writes.goOn(1);
    return writes;
  }

  /** Resolves when this many more were acknowledged. */
  async goOn(count: number, timeoutMs = 60_000): Promise<void> {
    const from = this.acknowledged.size;
    await eventually(() => {
      if (this.acknowledged.size < from + count)
        throw new Error(`${this.acknowledged.size - from} writes acknowledged`);
    }, timeoutMs);
  }

  /** Ends the writing; the numbers that were acknowledged and cannot be read. */
  async lost(): Promise<readonly number[]> {
    await this[Symbol.asyncDispose]();
    const redis = await this.#project.container("redis");
    const keys = await this.#project.docker("exec", redis, "redis-cli", "keys", "soak:*");
    const there = new Set(keys.split("\n").map((key) => Number(key.slice("soak:".length))));
    return [...this.acknowledged].filter((n) => !there.has(n));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.stdin?.end();
    await this.#closed;
  }
}
