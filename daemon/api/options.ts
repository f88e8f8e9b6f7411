// What a daemon is started with. Kept in the state folder, so that any command can revive it as it was.
import { readdirSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import * as z from "zod";

export const daemonOptionsSchema = z.object({
  projectDir: z.string(),
  /** Compose project. */
  project: z.string(),
  /** Absolute; null: the project has none (the daemon looks for mesh.yaml in projectDir when it appears). */
  meshFile: z.string().nullable(),
  /** Absolute paths, for `compose`'s own use; empty without compose. */
  composeFiles: z.array(z.string()),
  /** Services that compose's config names, running or not; null when it is not known. */
  knownServices: z.array(z.string()).nullable(),
  /** The proxy's image. */
  image: z.string(),
  /** DOCKER_HOST and its relatives as they were at the start: a revived daemon must talk to the same engine. */
  dockerEnv: z.record(z.string(), z.string()),
  /**
   * What leads any Docker client to the engine that answered: written by the daemon once it is connected, so that a context or a
   * socket that comes or goes later moves no mesh, and so that compose is run on the same engine.
   */
  engineEnv: z.record(z.string(), z.string()).optional(),
  /** devmesh's version. */
  version: z.string(),
  /** For `down` without a running mesh: attaches nothing, answers `down` only, and ends by itself after a minute. */
  isOnlyDown: z.boolean().optional(),
});

export type DaemonOptions = z.infer<typeof daemonOptionsSchema>;

const dockerVariables = [
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "DOCKER_CONFIG",
  "DOCKER_TLS",
  "DOCKER_TLS_VERIFY",
  "DOCKER_CERT_PATH",
];

export function dockerEnvOf(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    dockerVariables.flatMap((name) => {
      const value = env[name];
      return value === undefined || value === "" ? [] : [[name, value]];
    }),
  );
}

/** Of Python's requests. */
const withoutBundles = { REQUESTS_CA_BUNDLE: undefined, CURL_CA_BUNDLE: undefined };

/** An environment that says nothing of Docker. */
export function withoutDocker(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !dockerVariables.includes(name)));
}

/** For compose and other clients of Docker that must act on the mesh's engine. DOCKER_CONFIG stays: it has the registries' passwords. */
export function envOnEngine(env: NodeJS.ProcessEnv, options: DaemonOptions | null): NodeJS.ProcessEnv {
  if (options?.engineEnv === undefined) return env;
  const config = env.DOCKER_CONFIG === undefined ? {} : { DOCKER_CONFIG: env.DOCKER_CONFIG };
  // Where these are set, version 1 of compose takes them in place of the engine's own ca.pem, and trusts it no more (seen).
  const bundles = options.engineEnv.DOCKER_CERT_PATH === undefined ? {} : withoutBundles;
  return { ...withoutDocker(env), ...config, ...bundles, ...options.engineEnv };
}

/** Of every mesh that is up, whether or not its daemon lives, whose project's folder this is. */
export function readOptionsOf(projectDir: string, meshesFolder: string): DaemonOptions[] {
  const folder = realFolder(projectDir);
  return foldersIn(meshesFolder).flatMap((name) => {
    const options = readOptions(join(meshesFolder, name, "options.json"));
    return options !== null && realFolder(options.projectDir) === folder ? [options] : [];
  });
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    // None was ever up, or it is not for us to read: there is none that could be used.
    return [];
  }
}

function realFolder(folder: string): string {
  try {
    return realpathSync(folder);
  } catch {
    return folder;
  }
}

/** Null when there is no such file or it is of another shape. */
export function readOptions(file: string): DaemonOptions | null {
  try {
    return daemonOptionsSchema.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    return null;
  }
}
