// A WebSocket and a Redis connection that are held open and used from inside a container, until the test asks how they fared.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { HoldOptions, HoldResult } from "./apps/hold.ts";

export class HeldConnections implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  /** `container` runs, has node, and test/support/apps is mounted at /apps. */
  constructor(container: string, options: HoldOptions) {
    const args = ["exec", "-i", container, "node", "/apps/hold.ts", JSON.stringify(options)];
    this.#child = spawn("docker", args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdin?.on("error", () => undefined);
    this.#child.on("error", (error) => {
      this.#stderr += error.message;
    });
    this.#child.stdout?.on("data", (text) => {
      this.#stdout += text;
    });
    this.#child.stderr?.on("data", (text) => {
      this.#stderr += text;
    });
  }

  /** Lets go of both. */
  async end(): Promise<HoldResult> {
    const closed = once(this.#child, "close");
    this.#child.stdin?.end();
    await closed;
    if (this.#stdout === "") throw new Error(`nothing was held: ${this.#stderr}`);
    return JSON.parse(this.#stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode === null) await this.end().catch(() => undefined);
  }
}
