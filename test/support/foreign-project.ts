// The foreign project (test/foreign/) as a compose project of its own name, and what can be asked of it whether or not it is
// under a mesh.
import { execFile } from "node:child_process";
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { MeshProject, unusedPort } from "./mesh-project.ts";
import { composeCommand } from "./shop-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const source = path.join(root, "test/foreign");
const outputBytesMax = 16 * 1024 * 1024;
/** Generous: on a busy machine a dial that succeeds may take seconds, and only what is out of reach waits so long. */
const dialMsMax = 20_000;
/** To an address that Docker keeps from us: the dial is given up, so that this is what a run without any fault takes. */
const deniedDialMs = 4_000;

/** What an application can know of its container. */
export interface ContainerView {
  readonly hostname: string;
  readonly environment: readonly string[];
  readonly mounts: readonly string[];
  readonly hosts: string;
  readonly resolver: string;
}

/** "answers", or why not, by caller and "host:port". */
export type Reach = Readonly<Record<string, Readonly<Record<string, string>>>>;

const targets = [
  ["db", 5432, "postgres"],
  ["database", 5432, "postgres"],
  ["stock", 3306, "mysql"],
  ["cache", 6379, "redis"],
  ["fast-memory", 6379, "redis"],
  ["queue", 5672, "amqp"],
  ["api", 3000, "http"],
  ["greeter", 50051, "grpc"],
  ["stats", 8126, "http"],
  ["chat", 3001, "http"],
  ["static", 8080, "http"],
  ["proxy", 80, "http"],
] as const;
/** Not the worker: it ends when it loses its connection, and so would whatever is asked of it. */
const callers = ["proxy", "api", "greeter", "stats", "chat", "beside", "alone"] as const;
/** Callers and the services that they share no network with: not even by address. */
const denied = [
  ["stats", "proxy", 80, "http"],
  ["greeter", "chat", 3001, "http"],
  ["chat", "db", 5432, "postgres"],
] as const;

/** Exact tags that the set-up of the tests has built. */
export function testImages(): Readonly<Record<"foreign" | "foreign-static", string>> {
  return JSON.parse(readFileSync(path.join(root, "dist/test-images.json"), "utf8"));
}

export class ForeignProject extends MeshProject {
  /** http://127.0.0.1:<port> of its own published port. */
  readonly url: string;

  private constructor(port: number, files: Readonly<Record<string, string>>) {
    const { "compose.yaml": compose = "", ...others } = files;
    super({ name: "foreign", compose, mesh: null, files: others });
    this.url = `http://127.0.0.1:${port}`;
    // The project's own .env names its files.
    delete this.env.COMPOSE_FILE;
  }

  static async create(): Promise<ForeignProject> {
    const names = readdirSync(source, { recursive: true, encoding: "utf8" }).filter((name) => /\.\w+$/.test(name));
    const files = names.map((name) => [name, readFileSync(path.join(source, name), "utf8")]);
    const port = await unusedPort();
    const subnet = await unusedSubnet();
    const images = testImages();
    const settings = {
      COMPOSE_FILE: "compose.yaml:compose.dev.yaml",
      FOREIGN_IMAGE: images.foreign,
      FOREIGN_STATIC_IMAGE: images["foreign-static"],
      FOREIGN_PORT: port,
      BACK_SUBNET: `${subnet}.0/24`,
      LEGACY_ADDRESS: `${subnet}.200`,
      GREETING: "hello from .env",
    };
    const dotEnv = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
    return new ForeignProject(port, { ...Object.fromEntries(files), ".env": dotEnv.join("") });
  }

  /** Compose as its developers call it: in its folder, with no files named. */
  async own(...args: readonly string[]): Promise<string> {
    const [file = "", ...first] = await composeCommand();
    const options = { cwd: this.folder, env: this.env, maxBuffer: outputBytesMax };
    return (await run(file, [...first, ...args], options)).stdout.trim();
  }

  /** The project's own smoke test: its answers. */
  async smoke(): Promise<Readonly<Record<string, string>>> {
    const script = path.join(this.folder, "app/smoke.mjs");
    return JSON.parse((await run(process.execPath, [script, this.url], { env: this.env })).stdout);
  }

  /** Who reaches whom, by name and by address. */
  async reach(): Promise<Reach> {
    const answers = callers.map(async (caller) => {
      const dials: (string | number)[][] = targets.map((target) => [...target, dialMsMax]);
      return [caller, await this.#dial(caller, dials)] as const;
    });
    const refusals = denied.map(async ([caller, service, port, protocol]) => {
      const result = await this.#dial(caller, [[await this.address(service), port, protocol, deniedDialMs]]);
      // How it fails differs: Docker drops the dial without a word, and the mesh's guard and proxies reset it.
      const [answer] = Object.values(result);
      return [`${caller} at the address of`, { [service]: answer === "answers" ? answer : "denied" }] as const;
    });
    return Object.fromEntries(await Promise.all([...answers, ...refusals]));
  }

  async #dial(caller: string, dials: readonly (readonly (string | number)[])[]): Promise<Record<string, string>> {
    const script = readFileSync(path.join(source, "app/reach.mjs"), "utf8");
    // All names at once: lookups have four threads otherwise.
    const args = ["env", "UV_THREADPOOL_SIZE=16", "node", "--input-type=module", "-e", script, JSON.stringify(dials)];
    return JSON.parse(await this.docker("exec", await this.container(caller), ...args));
  }

  /** Of a container's first network of the project's own. */
  async address(service: string): Promise<string> {
    const format = "{{json .NetworkSettings.Networks}}";
    const text = await this.docker("inspect", "--format", format, await this.container(service));
    const networks: Record<string, { IPAddress: string }> = JSON.parse(text);
    const own = Object.entries(networks).find(([name]) => name.startsWith(`${this.name}_`));
    return own?.[1].IPAddress ?? "";
  }

  /** By container name; of those that run. */
  async views(): Promise<Readonly<Record<string, ContainerView>>> {
    const filter = `label=com.docker.compose.project=${this.name}`;
    const names = (await this.docker("ps", "--filter", filter, "--format", "{{.Names}}")).split("\n").sort();
    return Object.fromEntries(await Promise.all(names.map(async (name) => [name, await this.#view(name)])));
  }

  async #view(name: string): Promise<ContainerView> {
    const inspected: {
      Config: { Hostname: string; Env: string[]; Entrypoint: string[] | null };
      Mounts: { Destination: string; RW: boolean }[];
    } = JSON.parse(await this.docker("inspect", "--format", "{{json .}}", name));
    const busybox = inspected.Config.Entrypoint?.[0] === "/busybox" ? "/busybox" : "busybox";
    const look = async (...args: readonly string[]) => await this.docker("exec", name, busybox, ...args);
    const [hostname, environment, hosts, resolver] = await Promise.all([
      look("hostname"),
      look("env"),
      look("cat", "/etc/hosts"),
      look("cat", "/etc/resolv.conf"),
    ]);
    const mounts = inspected.Mounts.map(({ Destination: at, RW }) => `${at} ${RW ? "rw" : "ro"}`).sort();
    return { hostname, environment: environment.split("\n").sort(), mounts, hosts, resolver };
  }

  /** An edit in the project's folder, as an editor makes it. */
  edit(file: string, text: string): void {
    writeFileSync(path.join(this.folder, file), text);
  }
}

/** "10.x.y": of a /24 that overlaps no network of Docker's and no route of the host's. */
async function unusedSubnet(): Promise<string> {
  const ids = (await run("docker", ["network", "ls", "-q"])).stdout.trim().split("\n");
  const format = "{{range .IPAM.Config}}{{.Subnet}} {{end}}";
  // One that goes meanwhile is not in the way.
  const networks = await run("docker", ["network", "inspect", "--format", format, ...ids]).catch(
    (error: { stdout?: string }) => ({ stdout: error.stdout ?? "" }),
  );
  const routes = await run("ip", ["-4", "route"]).catch(() => ({ stdout: "" }));
  const taken = `${networks.stdout} ${routes.stdout}`;
  for (;;) {
    const [second, third] = [randomInt(1, 200), randomInt(0, 256)];
    if (!taken.includes(`10.${second}.`) && !taken.includes("10.0.0.0/8")) return `10.${second}.${third}`;
    if (taken.includes("10.0.0.0/8")) return `172.31.${third}`;
  }
}
