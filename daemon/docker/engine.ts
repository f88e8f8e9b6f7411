// The one door to Docker's API: transport, version, timeouts and errors. What is asked of it is in the files beside this one.
import { Agent as HttpAgent } from "node:http";
import { Agent as HttpsAgent } from "node:https";
import type { Duplex, Readable } from "node:stream";
import { Problem } from "../api/problem.ts";
import { type Endpoint, type Env, findEndpoints } from "./endpoint.ts";
import { negotiateVersion, noAnswerProblem, unreachableProblem } from "./engine-problem.ts";
import { SshAgent } from "./ssh-connection.ts";

/** Each attempt to reach an engine; an answer takes a few milliseconds, over ssh a second or two. */
const connectTimeoutMs = 5000;
const sshConnectTimeoutMs = 15_000;
/** A call that names no time of its own. */
const callTimeoutMs = 10_000;
/** Idle connections that are kept. */
const freeSocketsMax = 8;

export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  /** Without the version: "/containers/json". */
  readonly path: string;
  /** Objects become JSON; undefined members are left out. */
  readonly query?: Readonly<Record<string, unknown>>;
  readonly body?: object;
  /** Until the whole answer (for a stream: its head) is there. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface Engine {
  /** "unix:///var/run/docker.sock" */
  readonly url: string;
  /** "1.41": the lower of the engine's and ours. */
  readonly apiVersion: string;
  readonly engineVersion: string;
  /** On this machine by its socket: the host's routes are the engine's. */
  readonly isLocal: boolean;
  /** The parsed JSON, or null for an empty answer. Throws EngineError. */
  call(call: Call): Promise<unknown>;
  /** An endless answer; the caller destroys it. Throws EngineError. */
  stream(call: Call): Promise<Readable>;
  /** A connection taken over after 101 Upgrade; the caller destroys it. Throws EngineError. */
  hijack(call: Call): Promise<Duplex>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What Docker answered, or why nothing came: `status` is 0 when there was no answer. */
export class EngineError extends Error {
  readonly status: number;
  /** errno's name, "ETIMEDOUT" for our own timeout, or "". */
  readonly code: string;

  constructor(message: string, status: number, code = "") {
    super(message);
    this.name = "EngineError";
    this.status = status;
    this.code = code;
  }
}

export function isStatus(error: unknown, ...statuses: number[]): boolean {
  return error instanceof EngineError && statuses.includes(error.status);
}

/** The first endpoint that answers. Throws Problem DM0101 (none), DM0102 (no permission), DM0103 (too old). */
export async function connectEngine(env: Env, { platform = process.platform } = {}): Promise<Engine> {
  const failures: { endpoint: Endpoint; error: EngineError }[] = [];
  for (const endpoint of await findEndpoints(env, platform)) {
    const dialler = await openDialler(endpoint);
    try {
      const timeoutMs = endpoint.kind === "ssh" ? sshConnectTimeoutMs : connectTimeoutMs;
      const answer = (await dialler.call({ method: "GET", path: "/version", timeoutMs })) as Record<string, unknown>;
      const isLocal = endpoint.kind === "socket" && platform === "linux";
      const version = negotiateVersion(answer, endpoint);
      dialler.useVersion(version);
      const engineVersion = String(answer.Version ?? "unknown");
      return Object.assign(dialler, { url: endpoint.url, apiVersion: version, engineVersion, isLocal });
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

/** What we use of docker-modem, dockerode's transport. */
interface Modem {
  version: string | undefined;
  dial(options: object, callback: (error: unknown, answer: unknown) => void): void;
}

async function openDialler(endpoint: Endpoint): Promise<Dialler> {
  // dockerode takes 120 ms to load, and most commands never need it.
  const { default: Docker } = await import("dockerode");
  const agent = agentFor(endpoint);
  // Every key is named, since the modem would fill a missing one from the process' own environment.
  const options = {
    socketPath: endpoint.kind === "socket" ? endpoint.path : undefined,
    host: endpoint.kind === "tcp" ? endpoint.host : endpoint.kind === "ssh" ? "docker" : undefined,
    port: endpoint.kind === "tcp" ? endpoint.port : undefined,
    protocol: endpoint.kind === "tcp" && endpoint.tls !== null ? ("https" as const) : ("http" as const),
    ca: undefined,
    cert: undefined,
    key: undefined,
    timeout: undefined,
    agent,
  };
  // Its types lack `version` and want callbacks that cannot fail.
  return new Dialler(new Docker(options).modem as unknown as Modem, agent);
}

function agentFor(endpoint: Endpoint): HttpAgent {
  const pool = { keepAlive: true, maxFreeSockets: freeSocketsMax };
  if (endpoint.kind === "ssh") return new SshAgent(endpoint);
  if (endpoint.kind === "socket" || endpoint.tls === null) return new HttpAgent(pool);
  const { isVerified, ...files } = endpoint.tls;
  return new HttpsAgent({ ...pool, ...files, rejectUnauthorized: isVerified });
}

class Dialler {
  readonly #modem: Modem;
  readonly #agent: HttpAgent;

  constructor(modem: Modem, agent: HttpAgent) {
    this.#modem = modem;
    this.#agent = agent;
  }

  useVersion(version: string): void {
    this.#modem.version = `v${version}`;
  }

  async call(call: Call): Promise<unknown> {
    const answer = await this.#dial(call, {});
    return Buffer.isBuffer(answer) ? (answer.length === 0 ? null : answer.toString()) : answer;
  }

  async stream(call: Call): Promise<Readable> {
    return (await this.#dial(call, { isStream: true })) as Readable;
  }

  async hijack(call: Call): Promise<Duplex> {
    const hijacked = { isStream: true, hijack: true, openStdin: true, statusCodes: { 200: "not upgraded" } };
    return (await this.#dial(call, hijacked)) as Duplex;
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #dial(call: Call, mode: object): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const abort = new AbortController();
    const giveUp = (code: string) => {
      reject(
        new EngineError(`${call.method} ${call.path}: ${code === "ETIMEDOUT" ? "timed out" : "aborted"}`, 0, code),
      );
      abort.abort();
    };
    const timer = setTimeout(giveUp, call.timeoutMs ?? callTimeoutMs, "ETIMEDOUT");
    const onAbort = () => giveUp("ABORT_ERR");
    if (call.signal?.aborted) onAbort();
    call.signal?.addEventListener("abort", onAbort, { once: true });
    try {
      const options = { _query: withoutUndefined(call.query ?? {}), _body: call.body ?? {} };
      const statusCodes = { 200: true, 201: true, 204: true, 304: true };
      const dial = {
        method: call.method,
        path: `${call.path}?`,
        options,
        statusCodes,
        abortSignal: abort.signal,
        ...mode,
      };
      this.#modem.dial(dial, (error, answer) => (error ? reject(engineError(error, call)) : resolve(answer)));
      return await promise;
    } finally {
      clearTimeout(timer);
      call.signal?.removeEventListener("abort", onAbort);
    }
  }
}

/** The modem's error: its message is "(HTTP code 404) unexpected - No such container: x ". */
function engineError(error: unknown, call: Call): EngineError {
  const { message = "", statusCode = 0, code = "" } = error as { message?: string; statusCode?: number; code?: string };
  const reason = message.replace(/^\(HTTP code \d+\) [^-]*- /, "").trim();
  return new EngineError(`${call.method} ${call.path}: ${reason || code}`, statusCode, code);
}

function withoutUndefined(query: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
}
