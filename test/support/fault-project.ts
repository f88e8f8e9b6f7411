// A small project under load for faults of the engine: a client, two replicas of api, a pay whose version an edit changes.
import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { eventually } from "./eventually.ts";
import { isSuccess, Load, type Sent } from "./load.ts";
import { MeshProject, type Result } from "./mesh-project.ts";

const run = promisify(execFile);
const apps = path.resolve(import.meta.dirname, "apps");
const requestsASecond = 40;
/** Only bounds a failure. */
const followWithinMs = 60_000;

const redis = `
  redis:
    image: \${DEVMESH_REDIS_IMAGE}
    command: [redis-server, --bind, "*", --protected-mode, "no", --appendonly, "yes", --appendfsync, always, --dir, /tmp]
    expose: ["6379"]`;

export interface FaultProjectOptions {
  readonly name: string;
  /** DOCKER_HOST of devmesh and compose: the door that makes trouble. */
  readonly host: string;
  /** DOCKER_HOST of the tests' own commands: the engine itself. */
  readonly direct: string;
  /** Of every service, as compose writes it. */
  readonly restart?: string;
  /** One that keeps every write that it has acknowledged, also when it is killed. */
  readonly hasRedis?: boolean;
}

export interface Histories {
  readonly pay: readonly Sent[];
  readonly api: readonly Sent[];
}

export class FaultProject implements AsyncDisposable {
  readonly mesh: MeshProject;
  readonly #direct: NodeJS.ProcessEnv;
  #version: "v1" | "v2" = "v1";

  readonly #text: (version: "v1" | "v2") => string;

  constructor({ name, host, direct, restart = "no", hasRedis = false }: FaultProjectOptions) {
    const service = (one: string): string => `
  ${one}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${one} }
    expose: ["8080"]
    restart: "${restart}"
    stop_grace_period: 2s
    volumes: ["${apps}:/apps:ro"]`;
    this.#text = (version) => meshText(name, version) + (hasRedis ? "  redis: { ports: [6379/tcp] }\n" : "");
    this.#direct = { ...process.env, DOCKER_HOST: direct };
    this.mesh = new MeshProject({
      name,
      compose: `services:${["client", "api", "pay-v1", "pay-v2"].map(service).join("")}${hasRedis ? redis : ""}\n`,
      mesh: this.#text("v1"),
      env: { DOCKER_HOST: host },
    });
  }

  async up(): Promise<Result> {
    return await this.mesh.up("--", "--scale", "api=2");
  }

  /** A docker command past the door; trimmed standard output. */
  async docker(...args: readonly string[]): Promise<string> {
    return (await run("docker", args, { env: this.#direct })).stdout.trim();
  }

  async container(service: string, number = 1): Promise<string> {
    const labels = [`service=${service}`, `project=${this.mesh.name}`, `container-number=${number}`];
    const filters = labels.flatMap((label) => ["--filter", `label=com.docker.compose.${label}`]);
    return await this.docker("ps", "-aq", "--no-trunc", ...filters);
  }

  /** Moves all of pay's traffic to its other version; the name that will answer. */
  edit(): string {
    this.#version = this.#version === "v1" ? "v2" : "v1";
    this.mesh.write("mesh.yaml", this.#text(this.#version));
    return `pay-${this.#version}`;
  }

  /** From the client, and it goes on while the engine is away. */
  async load(service: string): Promise<Load> {
    const options = { url: `http://${service}:8080/?ms=10`, rate: requestsASecond };
    const pid = await this.docker("inspect", "-f", "{{.State.Pid}}", await this.container("client"));
    return await Load.inNamespaces(pid, options);
  }

  /** Steady load on both services while `work` runs, and until each has answered again for a second. */
  async underLoad(work: (loads: { readonly pay: Load; readonly api: Load }) => Promise<unknown>): Promise<Histories> {
    const [pay, api] = await Promise.all([this.load("pay"), this.load("api")]);
    try {
      await work({ pay, api });
      await Promise.all([pay.successes(requestsASecond), api.successes(requestsASecond)]);
    } finally {
      await Promise.all([pay.stop(), api.stop()]);
    }
    return { pay: pay.sent, api: api.sent };
  }

  /** Wall clock when the last request was sent that another than `name` answered, once all of the newest are answered by it. */
  async followed(pay: Load, name: string): Promise<number> {
    await eventually(() => {
      const newest = pay.sent.slice(-20).filter(isSuccess);
      if (newest.length < 15 || newest.some((one) => one.name !== name)) throw new Error(`${name} does not answer all`);
    }, followWithinMs);
    return Math.max(...pay.sent.filter((one) => isSuccess(one) && one.name !== name).map((one) => one.start));
  }

  /** Until the mesh says that all is well. */
  async isWell(timeoutMs = followWithinMs): Promise<void> {
    await eventually(
      async () => {
        const { health, services } = await this.mesh.status();
        if (health !== "ok") throw new Error(`${health}: ${JSON.stringify(services)}`);
      },
      timeoutMs,
      200,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.mesh.close();
  }
}

function meshText(name: string, version: "v1" | "v2"): string {
  return `
name: m${process.pid}${name}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  pay:
    port: 8080
    versions: { v1: { container: pay-v1 }, v2: { container: pay-v2 } }
    split: { v1: ${version === "v1" ? 100 : 0}, v2: ${version === "v2" ? 100 : 0} }
`;
}
