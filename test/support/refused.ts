// For tests of what is refused: a command that must change nothing, other users, full disks, ports that are taken.
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { expect, onTestFinished } from "vitest";
import { exitCodes, type ProblemCode, problemCodes } from "../../daemon/api/problem.ts";
import type { MeshProject } from "./mesh-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const apps = path.join(root, "test/support/apps");
export const isRoot = process.getuid?.() === 0;
export const nobody = 65_534;
/** An error is told at once. Printed; fails at three times this. */
export const refusedBarMs = 2_000;
export const slowest = { ms: 0, why: "" };

/** A compose service of the echo application. */
export const echoService = (name: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name} }
    init: true
    stop_grace_period: 1s
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
    ${more}`;

export interface Told {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
  readonly file?: string;
  readonly line?: number;
}

/** Runs it for people and for scripts; both must say the same, exit alike, and have changed nothing. */
export async function refused(
  project: MeshProject,
  args: readonly string[],
  code: ProblemCode,
): Promise<Told & { text: string }> {
  const before = filesOf(project.folder);
  const plain = await project.cli(...args);
  const json = await project.cli("--json", ...args);
  const told = JSON.parse(json.stderr.trim().split("\n").at(-1) ?? "") as Told;
  expect({ code: told.code, exit: plain.code, json: json.code }).toEqual({
    code,
    exit: exitOf(code),
    json: exitOf(code),
  });
  expect(plain.stdout + json.stdout).toBe("");
  expect(plain.stderr).toContain(told.message);
  expect(plain.stderr).not.toMatch(/\n {4}at |has a bug/);
  expect(told.hint).not.toBe("");
  expect(filesOf(project.folder)).toEqual(before);
  await expectNothingMade(project);
  const ms = Math.min(plain.ms, json.ms);
  if (ms > slowest.ms) Object.assign(slowest, { ms, why: `${args.join(" ")}: ${told.message}` });
  expect(ms).toBeLessThan(3 * refusedBarMs);
  return { ...told, text: plain.stderr };
}

function exitOf(code: ProblemCode): number {
  return exitCodes[problemCodes[code]];
}

/** Path and text of every file. */
function filesOf(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return names.map((entry) => {
    const file = path.join(entry.parentPath, entry.name);
    return `${file} ${readFileSync(file).length}`;
  });
}

export async function expectNothingMade(project: MeshProject): Promise<void> {
  const env = { ...process.env };
  const ask = async (...args: string[]) => (await run("docker", args, { env })).stdout.trim();
  const left = await Promise.all([
    ask("ps", "-aq", "--filter", `label=dev.devmesh.project=${project.name}`),
    ask("ps", "-aq", "--filter", `label=com.docker.compose.project=${project.name}`),
    ask("network", "ls", "-q", "--filter", `label=dev.devmesh.project=${project.name}`),
  ]);
  expect(left).toEqual(["", "", ""]);
  // A failed start leaves its log, for whoever wants to know more; neither key nor socket.
  const state = readdirSync(project.stateHome, { recursive: true }).map(String);
  expect(state.filter((name) => /\.(sock|pem|json)$/.test(name))).toEqual([]);
}

export async function listen(
  onConnection: (socket: Socket) => void,
): Promise<AsyncDisposable & { readonly port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => socket.destroy());
    onConnection(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** As a user who may not use Docker. */
export async function asNobody(
  project: MeshProject,
  args: readonly string[],
): Promise<{ code: number; stderr: string; ms: number }> {
  const ids = ["--reuid", String(nobody), "--regid", String(nobody), "--clear-groups"];
  const command = [...ids, process.execPath, path.join(root, "dist/devmesh.mjs"), ...args];
  const started = performance.now();
  const result = await run("setpriv", command, { cwd: project.folder, env: project.env }).then(
    ({ stderr }) => ({ code: 0, stderr }),
    (error: { code: number; stderr: string }) => ({ code: error.code, stderr: error.stderr }),
  );
  return { ...result, ms: performance.now() - started };
}

/** Null where mounting is not allowed. Goes with the test. */
export async function mountTmpfs(options: string): Promise<string | null> {
  const disk = await SmallDisk.mount(options);
  onTestFinished(async () => void (await disk?.close()));
  return disk?.folder ?? null;
}

export class SmallDisk implements AsyncDisposable {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** Null where mounting is not allowed. */
  static async mount(options: string): Promise<SmallDisk | null> {
    const disk = new SmallDisk(mkdtempSync(path.join(tmpdir(), "dm-disk-")));
    try {
      await run("mount", ["-t", "tmpfs", "-o", options, "tmpfs", disk.folder]);
      return disk;
    } catch {
      await disk.close();
      return null;
    }
  }

  async close(): Promise<void> {
    await run("umount", ["-l", this.folder]).catch(() => undefined);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Until nothing more goes in. */
export function fillDisk(folder: string): void {
  for (const bytes of [4096, 1]) {
    for (let n = 0; tryWrite(path.join(folder, `fill-${bytes}-${n}`), bytes); n++);
  }
}

/** Takes away what `fillDisk` wrote. */
export function freeDisk(folder: string): void {
  for (const name of readdirSync(folder)) if (name.startsWith("fill-")) rmSync(path.join(folder, name));
}

function tryWrite(file: string, bytes: number): boolean {
  try {
    writeFileSync(file, "x".repeat(bytes));
    return true;
  } catch {
    return false;
  }
}
