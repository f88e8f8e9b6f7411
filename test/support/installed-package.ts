// devmesh as somebody installs it who has no clone: packed by npm, installed under a prefix by a user of the machine who is not root,
// may use Docker, and has nothing on the PATH but node, npm and docker.
import { execFile, execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import type { Result } from "./mesh-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const isRoot = process.getuid?.() === 0;

interface User {
  readonly name: string | null;
  readonly uid: number;
  readonly gid: number;
}

export class InstalledPackage {
  readonly tarball: string;
  /** Of the package, as npm laid it. */
  readonly folder: string;
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;
  readonly #top: string;
  readonly #user: User;

  private constructor(top: string, user: User) {
    this.#top = top;
    this.#user = user;
    this.home = path.join(top, "home");
    const bin = path.join(top, "bin");
    // As the set-up had it: then the layers of its own images are found again, and a build takes a second.
    const { NODE_EXTRA_CA_CERTS: extra } = process.env;
    this.env = {
      HOME: this.home,
      TMPDIR: this.home,
      PATH: `${path.join(this.home, "prefix/bin")}:${bin}`,
      NO_COLOR: "1",
      ...(extra === undefined ? {} : { NODE_EXTRA_CA_CERTS: extra }),
    };
    mkdirSync(this.home);
    mkdirSync(bin);
    provideCommands(bin);
    this.tarball = path.join(top, readdirSync(top).find((name) => name.endsWith(".tgz")) ?? "");
    this.folder = path.join(this.home, "prefix/lib/node_modules/devmesh");
    chownSync(this.home, user.uid, user.gid);
  }

  /** Packs, and installs without asking any registry. */
  static async create(): Promise<InstalledPackage> {
    const top = mkdtempSync(path.join(tmpdir(), "devmesh-installed-"));
    chmodSync(top, 0o755);
    await run("npm", ["pack", "--silent", "--pack-destination", top], { cwd: root });
    const made = new InstalledPackage(top, isRoot ? makeUser(top) : ownUser());
    const { code, stderr } = await made.run("npm", "install", "-g", "--prefix", "prefix", "--offline", made.tarball);
    if (code !== 0) throw new Error(`npm install failed: ${stderr}`);
    return made;
  }

  /** A folder of the user's own. */
  makeFolder(name: string, files: Readonly<Record<string, string>>): string {
    const folder = path.join(this.home, name);
    mkdirSync(folder);
    for (const [file, text] of Object.entries(files)) writeFileSync(path.join(folder, file), text);
    const { uid, gid } = this.#user;
    for (const own of [folder, ...Object.keys(files).map((file) => path.join(folder, file))]) chownSync(own, uid, gid);
    return folder;
  }

  async run(command: string, ...args: readonly string[]): Promise<Result> {
    return await this.runIn(this.home, command, ...args);
  }

  /** As the user; never rejects for an exit code. */
  async runIn(cwd: string, command: string, ...args: readonly string[]): Promise<Result> {
    const { uid, gid } = this.#user;
    const started = performance.now();
    return await new Promise((resolve, reject) => {
      const identity = isRoot ? { uid, gid } : {};
      const child = spawn(command, args, { cwd, env: this.env, stdio: ["ignore", "pipe", "pipe"], ...identity });
      const text = { stdout: "", stderr: "" };
      for (const name of ["stdout", "stderr"] as const) {
        child[name].setEncoding("utf8").on("data", (chunk: string) => {
          text[name] += chunk;
        });
      }
      child.on("error", reject);
      child.on("close", (code) => resolve({ code: code ?? -1, ...text, ms: performance.now() - started }));
    });
  }

  close(): void {
    if (this.#user.name !== null) execFileSync("userdel", [this.#user.name], { stdio: "ignore" });
    rmSync(this.#top, { recursive: true, force: true });
  }
}

/** Nothing that compiles, no shell tools: what npm, devmesh and compose need. */
function provideCommands(bin: string): void {
  const node = path.join(bin, "node");
  try {
    linkSync(realpathSync(process.execPath), node);
  } catch {
    // Another file system.
    copyFileSync(process.execPath, node);
  }
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  for (const name of ["npm", "npx", "docker", "docker-compose", "sh"]) {
    const found = folders.map((folder) => path.join(folder, name)).find((file) => existsSync(file));
    if (found !== undefined && !isThere(path.join(bin, name))) symlinkSync(realpathSync(found), path.join(bin, name));
  }
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined;
}

/** In the group that may use Docker's socket. */
function makeUser(top: string): User {
  const name = `dmt${process.pid}`;
  const { gid } = statSync("/var/run/docker.sock");
  execFileSync("useradd", ["--no-create-home", "--home-dir", path.join(top, "home"), "--gid", String(gid), name]);
  return { name, uid: Number(execFileSync("id", ["-u", name], { encoding: "utf8" })), gid };
}

function ownUser(): User {
  return { name: null, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}
