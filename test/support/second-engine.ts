// A second Docker engine for one test file: own data, own network namespace, own socket. It may be stopped, killed and started again.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";

const run = promisify(execFile);
const outputBytesMax = 16 * 1024 * 1024;
/** Only bounds a failure: it answers within half a second. */
const startWithinMs = 30_000;
const stopWithinMs = 30_000;
let engines = 0;

export interface SecondEngineOptions {
  /** Containers survive the engine. */
  readonly liveRestore: boolean;
  /** Copied from this machine's engine. */
  readonly images: readonly string[];
}

export class SecondEngine implements AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly url: string;
  readonly socket: string;
  readonly #folder: string;
  readonly #namespace: string;
  #liveRestore: boolean;
  #child: ChildProcess | null = null;

  private constructor(liveRestore: boolean) {
    this.#folder = mkdtempSync(path.join(tmpdir(), "dm-engine-"));
    this.#namespace = `dm-engine-${process.pid}-${engines++}`;
    this.#liveRestore = liveRestore;
    this.socket = path.join(this.#folder, "docker.sock");
    this.url = `unix://${this.socket}`;
  }

  static async start({ liveRestore, images }: SecondEngineOptions): Promise<SecondEngine> {
    const engine = new SecondEngine(liveRestore);
    try {
      await run("ip", ["netns", "add", engine.#namespace]);
      await run("ip", ["-n", engine.#namespace, "link", "set", "lo", "up"]);
      await engine.start();
      await engine.#load(images);
      return engine;
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Resolves when it answers. */
  async start({ liveRestore = this.#liveRestore } = {}): Promise<void> {
    this.#liveRestore = liveRestore;
    const file = (name: string): string => path.join(this.#folder, name);
    // A killed engine leaves its pid and its containerd's behind. Where process 1 reaps nobody, both would look alive for ever.
    for (const name of ["pid", "exec/containerd/containerd.pid"]) rmSync(file(name), { force: true });
    writeFileSync(file("daemon.json"), "{}");
    const log = openSync(file("log"), "a");
    // Not `ip netns exec`: that makes a mount namespace too, and containers' file systems would be lost with the engine.
    const child = spawn(
      "nsenter",
      [
        ...[`--net=/run/netns/${this.#namespace}`, "dockerd", `--live-restore=${liveRestore}`],
        ...["--data-root", file("data"), "--exec-root", file("exec"), "--pidfile", file("pid"), "--host", this.url],
        // Nothing of this machine's own engine is read, and nothing of ours is seen by systemd.
        ...["--config-file", file("daemon.json"), "--exec-opt", "native.cgroupdriver=cgroupfs", "--log-level", "warn"],
      ],
      { stdio: ["ignore", log, log], detached: true },
    );
    closeSync(log);
    child.on("error", () => undefined);
    this.#child = child;
    await eventually(async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      await this.docker("version");
    }, startWithinMs);
    if (child.exitCode !== null || child.signalCode !== null) {
      throw new Error(`the engine ended: ${readFileSync(file("log"), "utf8").slice(-2000)}`);
    }
  }

  /** SIGTERM lets it end as it wants; SIGKILL does not. Resolves when it is gone. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill(signal);
    const timer = setTimeout(() => child.kill("SIGKILL"), stopWithinMs);
    await exited;
    clearTimeout(timer);
    // Its containerd ends with it by a signal from the kernel.
    await eventually(() => {
      const left = processesOf(this.#folder, ["containerd"]);
      if (left.length > 0) throw new Error(`containerd ${left} still runs`);
    }, stopWithinMs);
  }

  /** Trimmed standard output of a docker command on this engine. */
  async docker(...args: readonly string[]): Promise<string> {
    const env = { ...process.env, DOCKER_HOST: this.url };
    return (await run("docker", args, { env, maxBuffer: outputBytesMax })).stdout.trim();
  }

  async #load(images: readonly string[]): Promise<void> {
    const script = 'docker save "$@" | docker --host "$ENGINE" load';
    await run("sh", ["-c", script, "sh", ...images], { env: { ...process.env, ENGINE: this.url } });
  }

  /** Removes its containers, stops it, and leaves nothing of it on this machine. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child?.exitCode === null && this.#child.signalCode === null) {
      const ids = await this.docker("ps", "-aq").catch(() => "");
      if (ids !== "") await this.docker("rm", "-f", ...ids.split("\n")).catch(() => undefined);
      await this.stop();
    }
    for (const pid of processesOf(this.#folder, ["dockerd", "containerd", "containerd-shim-runc-v2"]))
      process.kill(pid, "SIGKILL");
    for (const target of mountsUnder(this.#folder)) await run("umount", ["-l", target]).catch(() => undefined);
    await run("ip", ["netns", "del", this.#namespace]).catch(() => undefined);
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}

/** Of an engine, by the folder that their arguments name. One that has ended and is not reaped has no program any more. */
function processesOf(folder: string, programs: readonly string[]): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const program = path.basename(readlinkSync(`/proc/${pid}/exe`));
        return programs.includes(program) && readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(`${folder}/`);
      } catch {
        return false; // It ended meanwhile.
      }
    })
    .map(Number);
}

/** The deepest first. */
function mountsUnder(folder: string): string[] {
  const targets = readFileSync("/proc/self/mounts", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[1] ?? "");
  return targets.filter((target) => target.startsWith(`${folder}/`)).reverse();
}
