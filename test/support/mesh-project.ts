// A compose project of its own under the mesh: temporary folder, unique name, the built CLI as a user would run it.
import { execFile, spawn } from "node:child_process";
import { randomInt } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { StatusView } from "../../daemon/api/view.ts";
import { builtImages, composeCommand } from "./shop-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const outputBytesMax = 64 * 1024 * 1024;

export interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface MeshProjectOptions {
  /** Short; the process id makes it unique. */
  readonly name: string;
  readonly compose: string;
  /** Null: no mesh.yaml. */
  readonly mesh: string | null;
  /** Further files of the project, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: NodeJS.ProcessEnv;
  /** What the CLI is run by, as ["ip", "netns", "exec", "x"]. */
  readonly wrapper?: readonly string[];
}

export class MeshProject {
  readonly name: string;
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  /** Where the daemon of this project keeps its state and sockets. */
  readonly stateHome: string;
  readonly #wrapper: readonly string[];

  constructor(options: MeshProjectOptions) {
    this.name = `t${process.pid}${options.name}`;
    this.#wrapper = options.wrapper ?? [];
    this.folder = mkdtempSync(path.join(tmpdir(), `devmesh-${options.name}-`));
    this.stateHome = mkdtempSync(path.join(tmpdir(), "dm-state-"));
    const { proxy, shop, redis } = builtImages();
    this.env = {
      ...process.env,
      XDG_STATE_HOME: this.stateHome,
      XDG_RUNTIME_DIR: this.stateHome,
      COMPOSE_PROJECT_NAME: this.name,
      DEVMESH_PROXY_IMAGE: proxy,
      DEVMESH_SHOP_IMAGE: shop,
      DEVMESH_REDIS_IMAGE: redis,
      NO_COLOR: "1",
      ...options.env,
    };
    this.write("compose.yaml", options.compose);
    if (options.mesh !== null) this.write("mesh.yaml", options.mesh);
    for (const [file, text] of Object.entries(options.files ?? {})) this.write(file, text);
  }

  write(file: string, text: string): void {
    const full = path.join(this.folder, file);
    mkdirSync(path.dirname(full), { recursive: true });
    writeFileSync(full, text);
  }

  /** Runs the CLI in the project's folder to its end; never rejects for an exit code. */
  async cli(...args: readonly string[]): Promise<Result> {
    const started = performance.now();
    const program = [process.execPath, path.join(root, "dist/devmesh.mjs"), ...args];
    const [command = "", ...rest] = [...this.#wrapper, ...program];
    return await new Promise((resolve) => {
      const child = spawn(command, rest, {
        cwd: this.folder,
        env: this.env,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      child.stdout.setEncoding("utf8").on("data", (text: string) => {
        stdout += text;
      });
      child.stderr.setEncoding("utf8").on("data", (text: string) => {
        stderr += text;
      });
      child.on("close", (code) => resolve({ code: code ?? -1, stdout, stderr, ms: performance.now() - started }));
    });
  }

  /** `devmesh up -d`; rejects with what it printed unless it exits 0. */
  async up(...args: readonly string[]): Promise<Result> {
    const result = await this.cli("up", "-d", ...args);
    if (result.code !== 0)
      throw new Error(`devmesh up exited with ${result.code}:\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  async down(...args: readonly string[]): Promise<Result> {
    const result = await this.cli("down", ...args);
    if (result.code !== 0)
      throw new Error(`devmesh down exited with ${result.code}:\n${result.stdout}\n${result.stderr}`);
    return result;
  }

  /** The parsed status, whatever its exit code. */
  async status(): Promise<StatusView> {
    const { stdout, stderr } = await this.cli("--json", "status");
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as StatusView;
  }

  /** Trimmed standard output; rejects when it fails. */
  async docker(...args: readonly string[]): Promise<string> {
    return (await run("docker", args, { env: this.env, maxBuffer: outputBytesMax })).stdout.trim();
  }

  async compose(...args: readonly string[]): Promise<string> {
    const [file = "", ...first] = await composeCommand();
    const all = [...first, "-p", this.name, "-f", path.join(this.folder, "compose.yaml"), ...args];
    return (await run(file, all, { env: this.env, maxBuffer: outputBytesMax })).stdout.trim();
  }

  /** Id of a running (or stopped) container of a compose service. */
  async container(service: string, number = 1): Promise<string> {
    const filters = ["project", "service", "container-number"].map((key, i) => [
      "--filter",
      `label=com.docker.compose.${key}=${[this.name, service, String(number)][i]}`,
    ]);
    return await this.docker("ps", "-aq", "--no-trunc", ...filters.flat());
  }

  /** Id of the sidecar of a compose service's container. */
  async sidecar(service: string, number = 1): Promise<string> {
    const owner = await this.container(service, number);
    return await this.docker(
      "ps",
      "-aq",
      "--no-trunc",
      "--filter",
      `label=dev.devmesh.owner=${owner}`,
      "--filter",
      "label=dev.devmesh.kind=sidecar",
    );
  }

  /** Runs a script in a container that has node; what it prints. */
  async evaluate(service: string, script: string, number = 1): Promise<string> {
    return await this.docker("exec", await this.container(service, number), "node", "-e", script);
  }

  /** Takes everything down, also when a test failed half way. */
  async close(): Promise<void> {
    await this.cli("down", "--volumes");
    await this.compose("down", "-v", "-t", "1").catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(this.stateHome, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Below the ports that the kernel and Docker hand out by themselves. */
const ports = { first: 12_000, end: 30_000 } as const;

/** A port of the host that nothing uses now, for `listen:` and `ports:` that must be written down before they are bound. */
export async function unusedPort(): Promise<number> {
  for (;;) {
    const port = randomInt(ports.first, ports.end);
    if (await isUnused(port)) return port;
  }
}

async function isUnused(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer().on("error", () => resolve(false));
    server.listen(port, "0.0.0.0", () => server.close(() => resolve(true)));
  });
}
