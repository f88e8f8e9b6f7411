// The compose command of this machine: which one it is, what it calls the project, and running it.
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { basename, delimiter, dirname, join, resolve } from "node:path";
import { Problem } from "../daemon/api/problem.ts";

/** In the order in which compose looks for them. */
const usualFiles = ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];
const usualOverrides = [
  "compose.override.yaml",
  "compose.override.yml",
  "docker-compose.override.yaml",
  "docker-compose.override.yml",
];

export interface ComposeCommand {
  readonly command: string;
  /** Before every other argument. */
  readonly args: readonly string[];
}

/**
 * `docker compose` where the plugin is there, else `docker-compose`, else null. The plugin tells in 15 ms; docker-compose is
 * only looked for, since version 1 needs 0.4 s of CPU to say what it is (measured).
 */
export async function findCompose(env: NodeJS.ProcessEnv): Promise<ComposeCommand | null> {
  const plugin = await run({ command: "docker", args: ["compose", "version", "--short"], env });
  if (plugin.code === 0 && /^v?\d/.test(plugin.stdout)) return { command: "docker", args: ["compose"] };
  return isOnPath("docker-compose", env) ? { command: "docker-compose", args: [] } : null;
}

/** "docker compose 2.20.3" or "docker-compose 1.29.2", or null where there is none. */
export async function composeVersion(env: NodeJS.ProcessEnv): Promise<string | null> {
  const compose = await findCompose(env);
  if (compose === null) return null;
  const { stdout } = await run({ command: compose.command, args: [...compose.args, "version", "--short"], env });
  return [compose.command, ...compose.args, stdout.trim().replace(/^v/, "") || "of an unknown version"].join(" ");
}

/** As findCompose; none at all is a Problem (DM0404). */
export async function requireCompose(env: NodeJS.ProcessEnv): Promise<ComposeCommand> {
  const compose = await findCompose(env);
  if (compose !== null) return compose;
  throw new Problem(
    "DM0404",
    "there is a compose file, but neither docker compose nor docker-compose",
    "install one, or pass --no-compose",
  );
}

function isOnPath(command: string, env: NodeJS.ProcessEnv): boolean {
  const folders = (env.PATH ?? env.Path ?? "").split(delimiter).filter((folder) => folder !== "");
  const names = process.platform === "win32" ? [`${command}.exe`, `${command}.cmd`] : [command];
  return folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
}

/** The compose files of a folder as compose itself would find them: COMPOSE_FILE, else the usual names. */
export function usualComposeFiles(folder: string, env: NodeJS.ProcessEnv): string[] {
  const named = env.COMPOSE_FILE ?? readDotEnv(folder).COMPOSE_FILE;
  if (named !== undefined && named !== "") {
    const separator = env.COMPOSE_PATH_SEPARATOR ?? (process.platform === "win32" ? ";" : ":");
    return named.split(separator).map((file) => resolve(folder, file));
  }
  const main = usualFiles.map((name) => join(folder, name)).find((file) => existsSync(file));
  if (main === undefined) return [];
  const override = usualOverrides.map((name) => join(folder, name)).find((file) => existsSync(file));
  return override === undefined ? [main] : [main, override];
}

export interface ProjectNameInput {
  readonly flag: string | undefined;
  readonly composeFiles: readonly string[];
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * -p, else COMPOSE_PROJECT_NAME, else what compose v2 says, else the rule of both versions: the folder of the first compose
 * file, lower case, without anything but a-z, 0-9, "-" and "_".
 */
export async function projectName({ flag, composeFiles, folder, env }: ProjectNameInput): Promise<string> {
  const first = composeFiles[0];
  const projectFolder = first === undefined ? folder : dirname(first);
  const named = flag ?? namedProject(projectFolder, env);
  if (named !== undefined) {
    if (/^[a-z0-9][a-z0-9_-]*$/.test(named)) return named;
    throw new Problem("DM0002", `"${named}" is no project name`, "use lower-case letters, digits, - and _");
  }
  const compose = composeFiles.some(mayNameItself) ? await findCompose(env) : null;
  if (compose !== null) {
    const { code, stdout } = await run({
      command: compose.command,
      args: [...compose.args, ...fileArgs(composeFiles), "config", "--format", "json"],
      env,
      cwd: projectFolder,
    });
    const name = code === 0 ? nameOf(stdout) : undefined;
    if (name !== undefined) return name;
  }
  const name = basename(projectFolder)
    .toLowerCase()
    .replace(/[^-_a-z0-9]/g, "")
    .replace(/^[-_]+/, "");
  if (name === "") throw new Problem("DM0002", `the folder ${projectFolder} gives no project name`, "pass one with -p");
  return name;
}

/** What COMPOSE_PROJECT_NAME says, in the environment or in the folder's .env; empty counts as not set. */
export function namedProject(folder: string, env: NodeJS.ProcessEnv): string | undefined {
  return (env.COMPOSE_PROJECT_NAME ?? readDotEnv(folder).COMPOSE_PROJECT_NAME) || undefined;
}

/** Only a file with a `name:` of its own has another name than its folder; asking compose costs each command up to 0.5 s. */
function mayNameItself(file: string): boolean {
  try {
    // At the top level, so without indent; `{` may begin the whole file in one line.
    return /^\uFEFF?(["']?name["']?\s*:|\s*\{)/m.test(readFileSync(file, "utf8"));
  } catch {
    // Not readable: compose says so itself.
    return true;
  }
}

function nameOf(json: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(json);
    if (parsed !== null && typeof parsed === "object" && "name" in parsed && typeof parsed.name === "string")
      return parsed.name;
  } catch {
    // Not JSON: an older compose prints YAML here, and the folder rule is the answer.
    return undefined;
  }
  return undefined;
}

export function fileArgs(files: readonly string[]): string[] {
  return files.flatMap((file) => ["-f", file]);
}

/** Only what names the project and its files; compose reads the rest itself. */
function readDotEnv(folder: string): Record<string, string> {
  let text: string;
  try {
    text = readFileSync(join(folder, ".env"), "utf8");
  } catch {
    // No .env, or not readable: compose says so itself where it matters.
    return {};
  }
  const pairs = [...text.matchAll(/^[ \t]*(?:export[ \t]+)?(COMPOSE_[A-Z_]+)[ \t]*=[ \t]*(.*?)[ \t]*$/gm)];
  return Object.fromEntries(pairs.map(([, name = "", value = ""]) => [name, value.replace(/^(["'])(.*)\1$/, "$2")]));
}

export interface RunResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** What a child may print before the rest is cut (bytes). */
const outputBytesMax = 8 * 1024 * 1024;

/** Runs to the end; 127 when there is no such command. */
export async function run({ command, args, env, cwd }: RunOptions): Promise<RunResult> {
  return await new Promise((done) => {
    const child = spawn(command, args, {
      env,
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (stdout.length < outputBytesMax) stdout += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      if (stderr.length < outputBytesMax) stderr += text;
    });
    child.on("error", (error) => done({ code: 127, stdout, stderr: error.message }));
    child.on("close", (code, signal) => done({ code: code ?? (signal === null ? 1 : 130), stdout, stderr }));
  });
}

/** Runs with the terminal as it is: what compose shows while it pulls and creates is for the user. Resolves with the exit code. */
export async function runShown({ command, args, env, cwd }: RunOptions): Promise<number> {
  return await new Promise((done) => {
    // stdout is for data: what compose prints there is progress too.
    const child = spawn(command, args, { env, ...(cwd === undefined ? {} : { cwd }), stdio: ["ignore", 2, 2] });
    child.on("error", () => done(127));
    child.on("close", (code, signal) => done(code ?? (signal === null ? 1 : 130)));
  });
}
