// Where Docker's API is: DOCKER_HOST, else the context, else the usual sockets. The same order as the docker command's.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { Problem } from "../api/problem.ts";

export type Env = Readonly<Record<string, string | undefined>>;

/** PEM texts; what is absent is not used. */
export interface TlsFiles {
  /** Where they were read, for other clients; "" where there are none. */
  readonly folder: string;
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
  readonly isVerified: boolean;
}

export type Endpoint = { readonly source: string; readonly url: string } & (
  | { readonly kind: "socket"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number; readonly tls: TlsFiles | null }
  | { readonly kind: "ssh"; readonly target: string; readonly port: string; readonly path: string }
);

/**
 * The endpoints to try, in order: one when the user named it, else every usual socket.
 * Throws Problem DM0101 for a context or an address that cannot be understood.
 */
export async function findEndpoints(env: Env, platform: NodeJS.Platform = process.platform): Promise<Endpoint[]> {
  if (env.DOCKER_HOST) {
    const isTls = Boolean(env.DOCKER_TLS_VERIFY || env.DOCKER_TLS);
    const folder = env.DOCKER_CERT_PATH || configFolder(env);
    const tls = isTls ? await readTls(folder, Boolean(env.DOCKER_TLS_VERIFY)) : null;
    return [parseEndpoint(env.DOCKER_HOST, "DOCKER_HOST", tls)];
  }
  const context = env.DOCKER_CONTEXT || (await currentContext(configFolder(env)));
  if (context !== "" && context !== "default") return [await readContext(configFolder(env), context)];
  return usualSockets(env, platform).map((path) => socketEndpoint(path, "the usual sockets"));
}

/** Throws Problem DM0101. `tls` applies to tcp only. */
export function parseEndpoint(text: string, source: string, tls: TlsFiles | null): Endpoint {
  const pipe = /^npipe:\/\/(.+)$/.exec(text)?.[1];
  if (pipe !== undefined) return socketEndpoint(pipe, source);
  const url = URL.parse(text.includes("://") ? text : `tcp://${text}`);
  // "unix//var/run/docker.sock" would be a host named unix.
  if (url === null || (!text.includes("://") && text.includes("/"))) {
    throw new Problem("DM0101", `${source} is not an address: ${text}`, "it looks like unix:///var/run/docker.sock");
  }
  if (url.protocol === "unix:") return socketEndpoint(decodeURI(url.pathname), source);
  if (url.protocol === "ssh:" && url.hostname !== "") {
    const target = url.username === "" ? url.hostname : `${decodeURIComponent(url.username)}@${url.hostname}`;
    return { kind: "ssh", source, url: text, target, port: url.port, path: url.pathname === "/" ? "" : url.pathname };
  }
  if (["tcp:", "http:", "https:"].includes(url.protocol) && url.hostname !== "") {
    const isTls = tls !== null || url.protocol === "https:";
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = url.port === "" ? (isTls ? 2376 : 2375) : Number(url.port);
    return {
      kind: "tcp",
      source,
      url: text,
      host,
      port,
      tls: isTls ? (tls ?? { folder: "", isVerified: true }) : null,
    };
  }
  throw new Problem("DM0101", `${source} has a scheme that devmesh does not know: ${text}`, "use unix, tcp or ssh");
}

/** The variables that lead any Docker client there, compose too: version 1 of it knows of no DOCKER_CONTEXT. */
export function variablesFor(endpoint: Endpoint): Record<string, string> {
  const host = { DOCKER_HOST: endpoint.url };
  if (endpoint.kind !== "tcp" || endpoint.tls === null || endpoint.tls.folder === "") return host;
  const { folder, isVerified } = endpoint.tls;
  return { ...host, ...(isVerified ? { DOCKER_TLS_VERIFY: "1" } : { DOCKER_TLS: "1" }), DOCKER_CERT_PATH: folder };
}

const ownHosts: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "::1"]);

/** The machine whose ports the engine publishes, as it is named here; "" for this one. */
export function hostOf(endpoint: Endpoint): string {
  if (endpoint.kind === "socket") return "";
  const host = endpoint.kind === "tcp" ? endpoint.host : endpoint.target.replace(/^.*@/, "");
  return ownHosts.has(host) ? "" : host;
}

function socketEndpoint(path: string, source: string): Endpoint {
  return { kind: "socket", source, url: path.startsWith("//./") ? `npipe://${path}` : `unix://${path}`, path };
}

function usualSockets(env: Env, platform: NodeJS.Platform): string[] {
  if (platform === "win32") return ["//./pipe/docker_engine"];
  const home = env.HOME || homedir();
  const runtime = env.XDG_RUNTIME_DIR ? [join(env.XDG_RUNTIME_DIR, "docker.sock")] : [];
  const underHome = [".docker/run", ".docker/desktop", ".colima/default", ".colima", ".rd", ".orbstack/run"];
  return ["/var/run/docker.sock", ...runtime, ...underHome.map((folder) => join(home, folder, "docker.sock"))];
}

function configFolder(env: Env): string {
  return env.DOCKER_CONFIG || join(env.HOME || homedir(), ".docker");
}

async function currentContext(folder: string): Promise<string> {
  const text = await readOptional(join(folder, "config.json"));
  if (text === undefined) return "";
  try {
    const config: unknown = JSON.parse(text.toString());
    const name = (config as { currentContext?: unknown } | null)?.currentContext;
    return typeof name === "string" ? name : "";
  } catch {
    throw new Problem("DM0101", `${join(folder, "config.json")} is not JSON`, "repair it, or set DOCKER_HOST");
  }
}

async function readContext(folder: string, name: string): Promise<Endpoint> {
  const source = `the Docker context ${name}`;
  const hash = createHash("sha256").update(name).digest("hex");
  const text = await readOptional(join(folder, "contexts", "meta", hash, "meta.json"));
  if (text === undefined) {
    throw new Problem("DM0101", `${source} does not exist`, "docker context ls shows those that do");
  }
  let docker: { Host?: unknown; SkipTLSVerify?: unknown } | undefined;
  try {
    docker = (JSON.parse(text.toString()) as { Endpoints?: { docker?: typeof docker } } | null)?.Endpoints?.docker;
  } catch {
    throw new Problem("DM0101", `${source} has a meta.json that is not JSON`, `docker context rm ${name}`);
  }
  if (typeof docker?.Host !== "string") {
    throw new Problem("DM0101", `${source} names no address`, `docker context inspect ${name}`);
  }
  const tls = await readTls(join(folder, "contexts", "tls", hash, "docker"), docker.SkipTLSVerify !== true);
  const hasTls = tls.ca !== undefined || tls.cert !== undefined || docker.SkipTLSVerify === true;
  return parseEndpoint(docker.Host, source, hasTls ? tls : null);
}

async function readTls(folder: string, isVerified: boolean): Promise<TlsFiles> {
  const files = await Promise.all(["ca.pem", "cert.pem", "key.pem"].map((file) => readOptional(join(folder, file))));
  const [ca, cert, key] = files;
  return { folder, isVerified, ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) };
}

async function readOptional(path: string): Promise<Buffer | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new Problem("DM0101", `${path} cannot be read (${code})`, "repair its permissions, or set DOCKER_HOST");
  }
}
