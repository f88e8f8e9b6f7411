// The one door to Docker's API: which engine, by which way and in which version. What is asked of it is in the files beside this one.
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Duplex, Readable } from "node:stream";
import { Problem } from "../api/problem.ts";
import { type Call, Dialler, EngineError, type Place } from "./dialler.ts";
import { type Endpoint, type Env, findEndpoints, hostOf, variablesFor } from "./endpoint.ts";
import { negotiateVersion, noAnswerProblem, unreachableProblem } from "./engine-problem.ts";
import { SshAgent } from "./ssh-connection.ts";

export { type Call, EngineError, isStatus } from "./dialler.ts";

/** Each attempt to reach an engine; an answer takes a few milliseconds, over ssh a second or two. */
const connectTimeoutMs = 5000;
const sshConnectTimeoutMs = 15_000;
/** Idle connections that are kept. */
const freeSocketsMax = 8;

export interface Engine {
  /** "unix:///var/run/docker.sock" */
  readonly url: string;
  /** "1.41": the lower of the engine's and ours. */
  readonly apiVersion: string;
  readonly engineVersion: string;
  /** On this machine by its socket: the host's routes are the engine's. */
  readonly isLocal: boolean;
  /** Where the ports lie that it publishes; "" for this machine. */
  readonly host: string;
  /** DOCKER_HOST and its relatives, for other clients that must reach this engine and no other. */
  readonly variables: Readonly<Record<string, string>>;
  /** Wall clock of the engine, and so of every container, as its last answers told; to a second where it is not this machine's. */
  now(): number;
  /** The same, asked for now: this machine's clock may have stepped since. What is known, when no answer comes in time. */
  readClock(): Promise<number>;
  /** The parsed JSON, or null for an empty answer. Throws EngineError. */
  call(call: Call): Promise<unknown>;
  /** An endless answer; the caller destroys it. Throws EngineError. */
  stream(call: Call): Promise<Readable>;
  /** A connection taken over after 101 Upgrade; the caller destroys it. Throws EngineError. */
  hijack(call: Call): Promise<Duplex>;
  /** Calls that come open connections anew; those that wait for an answer keep theirs. */
  dropIdle(): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ConnectOptions {
  readonly platform?: NodeJS.Platform;
  /** Who chose the endpoint, where `env` itself was derived from something else. */
  readonly source?: string;
}

/** The first endpoint that answers. Throws Problem DM0101 (none), DM0102 (no permission), DM0103 (too old). */
export async function connectEngine(
  env: Env,
  { platform = process.platform, source }: ConnectOptions = {},
): Promise<Engine> {
  const failures: { endpoint: Endpoint; error: EngineError }[] = [];
  for (const found of await findEndpoints(env, platform)) {
    const endpoint = source === undefined ? found : { ...found, source };
    const dialler = openDialler(endpoint);
    try {
      const timeoutMs = endpoint.kind === "ssh" ? sshConnectTimeoutMs : connectTimeoutMs;
      const answer = (await dialler.call({ method: "GET", path: "/version", timeoutMs })) as Record<string, unknown>;
      const isLocal = endpoint.kind === "socket" && platform === "linux";
      const version = negotiateVersion(answer, endpoint);
      dialler.useVersion(version);
      const engineVersion = String(answer.Version ?? "unknown");
      const place = { url: endpoint.url, host: hostOf(endpoint), variables: variablesFor(endpoint), isLocal };
      return Object.assign(dialler, { ...place, apiVersion: version, engineVersion });
    } catch (error) {
      await dialler.close();
      if (error instanceof Problem || !(error instanceof EngineError)) throw error;
      failures.push({ endpoint, error });
    }
  }
  const denied = failures.find(({ error }) => error.code === "EACCES" || error.code === "EPERM");
  // A socket that exists but does not answer says more than the others that are not there.
  const telling = denied ?? failures.find(({ error }) => error.code !== "ENOENT") ?? failures[0];
  throw telling === undefined ? noAnswerProblem(platform) : unreachableProblem(telling, platform, env);
}

function openDialler(endpoint: Endpoint): Dialler {
  return new Dialler({ address: addressOf(endpoint), isTls: isTls(endpoint), agent: agentFor(endpoint) });
}

function addressOf(endpoint: Endpoint): Place["address"] {
  if (endpoint.kind === "socket") return { socketPath: endpoint.path };
  if (endpoint.kind === "tcp") return { host: endpoint.host, port: endpoint.port };
  return { host: "docker" }; // The ssh command knows where.
}

function isTls(endpoint: Endpoint): boolean {
  return endpoint.kind === "tcp" && endpoint.tls !== null;
}

function agentFor(endpoint: Endpoint): HttpAgent {
  const pool = { keepAlive: true, maxFreeSockets: freeSocketsMax };
  if (endpoint.kind === "ssh") return new SshAgent(endpoint);
  if (endpoint.kind === "socket" || endpoint.tls === null) return new HttpAgent(pool);
  const { isVerified, folder: _, ...files } = endpoint.tls;
  return new HttpsAgent({ ...pool, ...files, rejectUnauthorized: isVerified });
}
