// Starting, finding and reviving the daemon: always its own process, detached, one per project.
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type ApiClient, connectApi } from "../daemon/api/client.ts";
import { endDaemon, findDaemon as lookFor, replaceStale, waitEnded } from "../daemon/api/find-daemon.ts";
import { readLock } from "../daemon/api/lock.ts";
import { readNdjson } from "../daemon/api/ndjson.ts";
import { type DaemonOptions, dockerEnvOf, envOnEngine, readOptions, readOptionsOf } from "../daemon/api/options.ts";
import { assertOutsideProject, type DaemonPaths, daemonPaths, meshesFolder } from "../daemon/api/paths.ts";
import { Problem, type ProblemCode, problemCodes } from "../daemon/api/problem.ts";
import { startLineSchema } from "../daemon/api/start-line.ts";
import type { Diagnostic } from "../daemon/spec/diagnostic.ts";
import { recipeOf } from "./image/recipe.ts";
import type { Project } from "./project.ts";
import { version } from "./version.ts";

const startLineBytesMax = 4 * 1024 * 1024;
/**
 * A daemon mostly waits, and Node's defaults are made for throughput: with these it keeps 40 MB for itself instead of 56 at the
 * same CPU (measured, the shop at 20 requests/s). MB; threads; threads; glibc's heaps.
 */
const frugalFlags = ["--max-semi-space-size=2", "--v8-pool-size=1"];
const frugalEnv = { UV_THREADPOOL_SIZE: "2", MALLOC_ARENA_MAX: "2" };
/** A daemon that has not said ready or problem by then is given up. */
const startTimeoutMs = 60_000;

/** The configuration was refused: carries every diagnostic. */
export class InvalidConfig extends Problem {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    const errors = diagnostics.filter((diagnostic) => diagnostic.severity === "error").length;
    super(
      "DM0003",
      `${errors} ${errors === 1 ? "error" : "errors"} in the mesh's configuration`,
      "nothing was changed",
    );
    this.diagnostics = diagnostics;
  }
}

export function pathsOf(project: Pick<Project, "name" | "folder">, env: NodeJS.ProcessEnv): DaemonPaths {
  return daemonPaths({ project: project.name, projectDir: project.folder, env });
}

/**
 * The daemon of this project, or null when its mesh is not up. One that is dead is started again, one that does not
 * answer within 2 s is replaced: its proxies keep serving meanwhile.
 */
export async function findDaemon(
  project: Pick<Project, "name" | "folder">,
  env: NodeJS.ProcessEnv,
): Promise<ApiClient | null> {
  const paths = pathsOf(project, env);
  if (readOptions(paths.options) === null) return null;
  const found = await lookFor(paths);
  if (found.kind === "running") return found.client;
  // Read anew: the end of one that took its mesh down was waited for.
  const options = readOptions(paths.options);
  if (options === null) return null;
  if (found.kind === "hung") await replaceStale(found.holder);
  return await startDaemon(options, { env, onStep: () => undefined });
}

export interface StartedDaemon {
  readonly client: ApiClient;
  /** `started`: the mesh was not up. `revived`: it was, without a daemon. `replaced`: with one that ran on other options. */
  readonly kind: "started" | "found" | "revived" | "replaced";
}

/** For `up`: the daemon of the project with these options; one that runs on others is started anew, its mesh goes on. */
export async function startOrReplace(options: DaemonOptions, start: StartOptions): Promise<StartedDaemon> {
  const { project, projectDir } = options;
  const paths = daemonPaths({ project, projectDir, env: start.env });
  assertOutsideProject(paths, projectDir);
  const found = await lookFor(paths);
  const before = readOptions(paths.options);
  if (found.kind === "running") {
    if (before === null || isSame(before, options)) return { client: found.client, kind: "found" };
    await endDaemon(found.holder);
  }
  if (found.kind === "hung") await replaceStale(found.holder);
  if (before === null) return { client: await startDaemon(options, start), kind: "started" };
  // A mesh stays with the engine that it was started on.
  const { dockerEnv, engineEnv } = before;
  const client = await startDaemon({ ...options, dockerEnv, ...(engineEnv && { engineEnv }) }, start);
  return { client, kind: found.kind === "running" ? "replaced" : "revived" };
}

function isSame(a: DaemonOptions, b: DaemonOptions): boolean {
  const what = ({ meshFile, composeFiles, image, version }: DaemonOptions): string =>
    JSON.stringify([meshFile, composeFiles, image, version]);
  return what(a) === what(b);
}

/** The environment for compose: the mesh's engine, whatever this command's own says; without a mesh this one. */
export function composeEnv(project: Pick<Project, "name" | "folder">, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return envOnEngine(env, readOptions(pathsOf(project, env).options));
}

/** Whether a mesh of the project was started and not taken down since; its daemon may be dead. */
export function isMeshUp(project: Pick<Project, "name" | "folder">, env: NodeJS.ProcessEnv): boolean {
  return readOptions(pathsOf(project, env).options) !== null;
}

/**
 * The steps of `down`, done by the daemon that runs, else by one that attaches nothing and only takes down what a killed one
 * left. Ends when the daemon has, too. Throws its Problem.
 */
export async function* takeDown(project: Project, env: NodeJS.ProcessEnv): AsyncGenerator<string> {
  const paths = pathsOf(project, env);
  const client = await findOrStartForDown(project, env);
  const holder = readLock(paths.lock);
  for await (const line of client.down()) {
    if (line.t === "step") yield line.text;
    if (line.t === "problem")
      throw new Problem(isProblemCode(line.code) ? line.code : "DM0001", line.message, line.hint);
  }
  await waitEnded(holder);
}

async function findOrStartForDown(project: Project, env: NodeJS.ProcessEnv): Promise<ApiClient> {
  const paths = pathsOf(project, env);
  const found = await lookFor(paths);
  if (found.kind === "running") return found.client;
  if (found.kind === "hung") await replaceStale(found.holder);
  const options = readOptions(paths.options) ?? daemonOptions(project, env);
  return await startDaemon({ ...options, isOnlyDown: true }, { env, onStep: () => undefined });
}

/** As findDaemon, but a mesh that is not up is a Problem (exit code 5). */
export async function requireDaemon(
  project: Pick<Project, "name" | "folder">,
  env: NodeJS.ProcessEnv,
): Promise<ApiClient> {
  const client = await findDaemon(project, env);
  if (client !== null) return client;
  const [other] = readOptionsOf(project.folder, meshesFolder(env));
  throw new Problem(
    "DM0201",
    `no mesh is up for project ${project.name} in ${project.folder}`,
    other === undefined ? "start it with: devmesh up" : `project ${other.project} has one: devmesh -p ${other.project}`,
  );
}

export interface StartOptions {
  readonly env: NodeJS.ProcessEnv;
  onStep(text: string, ms: number): void;
}

/** Starts a daemon and waits until it is ready. Throws its Problem, or InvalidConfig. */
export async function startDaemon(options: DaemonOptions, { env, onStep }: StartOptions): Promise<ApiClient> {
  const child = spawn(
    process.execPath,
    [...frugalFlags, ...sourceFlags(), programPath(), "daemon", "--options", JSON.stringify(options)],
    {
      cwd: "/",
      env: { ...frugalEnv, ...env },
      detached: true,
      stdio: ["ignore", "ignore", "ignore", "pipe"],
    },
  );
  const exited = new Promise<Error>((resolve) => {
    child.on("error", resolve);
    child.on("exit", (code, signal) => resolve(new Error(`it ended with ${signal ?? `exit code ${code}`}`)));
  });
  const timer = setTimeout(() => child.kill("SIGKILL"), startTimeoutMs);
  try {
    const lines = readNdjson(child.stdio[3] as Readable, startLineBytesMax);
    for await (const value of lines) {
      const line = startLineSchema.parse(value);
      if (line.t === "step") onStep(line.text, line.ms);
      if (line.t === "ready") return connectApi(line.socket);
      if (line.t === "problem") {
        if (line.diagnostics !== undefined && line.diagnostics.length > 0) throw new InvalidConfig(line.diagnostics);
        throw new Problem(isProblemCode(line.code) ? line.code : "DM0001", line.message, line.hint);
      }
    }
    const reason = await exited;
    const { log } = daemonPaths({ project: options.project, projectDir: options.projectDir, env });
    throw new Problem("DM0001", `the daemon did not start: ${reason.message}`, `look at ${log}`);
  } finally {
    clearTimeout(timer);
    child.unref();
  }
}

function isProblemCode(code: string): code is ProblemCode {
  return code in problemCodes;
}

export function daemonOptions(project: Project, env: NodeJS.ProcessEnv): DaemonOptions {
  return {
    projectDir: project.folder,
    project: project.name,
    meshFile: project.meshFile,
    composeFiles: [...project.composeFiles],
    knownServices: project.knownServices === null ? null : [...project.knownServices],
    image: proxyImage(env),
    dockerEnv: dockerEnvOf(env),
    version,
  };
}

/** DEVMESH_PROXY_IMAGE, else this devmesh's own. Throws Problem DM0403 where a clone was never built. */
export function proxyImage(env: NodeJS.ProcessEnv): string {
  const named = env.DEVMESH_PROXY_IMAGE;
  return named === undefined || named === "" ? recipeOf("proxy").tag : named;
}

/** The file that this process runs: the bundle, or cli/main.ts in development. */
function programPath(): string {
  return process.argv[1] ?? join(import.meta.dirname, "main.ts");
}

function sourceFlags(): string[] {
  return process.execArgv.filter((flag) => flag.startsWith("--import") || flag.startsWith("--no-warnings"));
}
