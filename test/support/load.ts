// Steady load on a service, from inside a container (through its sidecar) or from the host, with a record of every request.
import { type ChildProcess, spawn } from "node:child_process";
import path from "node:path";
import { eventually } from "./eventually.ts";

export interface LoadOptions {
  readonly url: string;
  /** Requests a second, sent whether or not earlier ones were answered. */
  readonly rate: number;
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** From sending to the whole answer. */
  readonly timeoutMs?: number;
  /** Kept-alive connections at most. */
  readonly connections?: number;
}

/** One request that is over. */
export interface Sent {
  readonly n: number;
  /** Wall clock, milliseconds: the same clock as Docker's events. */
  readonly start: number;
  readonly end: number;
  /** 0: no whole response came. */
  readonly status: number;
  /** Envoy's flag where a proxy answered, else "". */
  readonly flags: string;
  /** The proxy's reason, or the client's error. */
  readonly reason: string;
  /** Host name (the container's short id) and NAME of the echo application that answered. */
  readonly host: string;
  readonly name: string;
}

const stopWithinMs = 40_000;

export class Load implements AsyncDisposable {
  readonly sent: Sent[] = [];
  readonly #child: ChildProcess;
  readonly #closed: Promise<void>;
  #stderr = "";

  private constructor(command: readonly string[], env: NodeJS.ProcessEnv) {
    const [file = "", ...args] = command;
    this.#child = spawn(file, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    this.#closed = new Promise((resolve) => this.#child.once("close", () => resolve()));
    this.#child.on("error", (error) => {
      this.#stderr += error.message;
    });
    this.#child.stdin?.on("error", () => undefined);
    let rest = "";
    this.#child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) this.sent.push(JSON.parse(line));
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr += text;
    });
  }

  /** In a running container that has node and test/support/apps mounted at /apps. Resolves once answers come in. */
  static async inContainer(container: string, options: LoadOptions): Promise<Load> {
    return await new Load(
      ["docker", "exec", "-i", container, "node", "/apps/load.ts", JSON.stringify(options)],
      process.env,
    ).#begun();
  }

  /** As in a container, without the engine, which may end meanwhile: by the process id of the container. */
  static async inNamespaces(pid: string, options: LoadOptions): Promise<Load> {
    const command = ["nsenter", "-t", pid, "-n", "-m", "node", "/apps/load.ts", JSON.stringify(options)];
    return await new Load(command, { PATH: "/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin" }).#begun();
  }

  static async onHost(options: LoadOptions): Promise<Load> {
    const file = path.join(import.meta.dirname, "apps/load.ts");
    return await new Load([process.execPath, file, JSON.stringify(options)], process.env).#begun();
  }

  async #begun(): Promise<this> {
    await eventually(() => {
      if (this.#child.exitCode !== null) throw new Error(`the load ended: ${this.#stderr}`);
      if (this.sent.length === 0) throw new Error(`no request has been answered: ${this.#stderr}`);
    });
    return this;
  }

  /** Resolves when this many further requests were answered with 2xx. */
  async successes(count: number, timeoutMs = 20_000): Promise<void> {
    const from = this.sent.length;
    await eventually(() => {
      const good = this.sent.slice(from).filter(isSuccess).length;
      if (good < count) throw new Error(`${good} of ${count} succeeded; the last: ${JSON.stringify(this.sent.at(-1))}`);
    }, timeoutMs);
  }

  /** Stops sending, waits for what is open, and answers everything in the order of sending. */
  async stop(): Promise<readonly Sent[]> {
    this.#child.stdin?.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), stopWithinMs);
    await this.#closed;
    clearTimeout(timer);
    return this.sent.sort((a, b) => a.n - b.n);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}

/** 101: the Upgrade that was asked for. */
export function isSuccess({ status }: Sent): boolean {
  return status === 101 || (status >= 200 && status < 300);
}

export function failures(sent: readonly Sent[]): readonly Sent[] {
  return sent.filter((one) => !isSuccess(one));
}

/** The first success that was sent or answered after `atMs`, as milliseconds after it; null: there was none. */
export function firstSuccessAfter(sent: readonly Sent[], atMs: number): number | null {
  const ends = sent.filter((one) => isSuccess(one) && one.end >= atMs).map(({ end }) => end);
  return ends.length === 0 ? null : Math.min(...ends) - atMs;
}

/** Milliseconds between two successes that follow each other, at most. */
export function longestGap(sent: readonly Sent[]): number {
  const ends = sent.filter(isSuccess).map(({ end }) => end);
  ends.sort((a, b) => a - b);
  return ends.reduce((gap, end, i) => Math.max(gap, end - (ends[i - 1] ?? end)), 0);
}

/** "1200 requests, 1190 ok, 10 failed (503 UH 10), longest gap 310 ms, slowest 52 ms" */
export function describeLoad(sent: readonly Sent[]): string {
  const failed = failures(sent);
  const kinds = Map.groupBy(failed, ({ status, flags, reason }) => `${status} ${flags || reason}`);
  const listed = [...kinds].map(([kind, list]) => `${kind} ${list.length}`).join(", ");
  const slowest = Math.max(0, ...sent.map(({ start, end }) => end - start));
  const what = failed.length === 0 ? "0 failed" : `${failed.length} failed (${listed})`;
  return `${sent.length} requests, ${sent.length - failed.length} ok, ${what}, longest gap ${longestGap(sent)} ms, slowest ${slowest} ms`;
}
