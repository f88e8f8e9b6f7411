// The sample shop as a compose project of its own name on a free port, for tests that need it in real containers.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const outputBytesMax = 16 * 1024 * 1024;

/** Tags that the set-up built for this checkout, and the image that they are built on. */
export function builtImages(): Readonly<Record<"base" | "proxy" | "shop" | "redis", string>> {
  return JSON.parse(readFileSync(path.join(root, "dist/images.json"), "utf8"));
}

export class ShopProject {
  readonly name: string;
  readonly #env: NodeJS.ProcessEnv;
  readonly #command: readonly string[];

  private constructor(name: string, command: readonly string[], rate: number) {
    const { shop, redis } = builtImages();
    this.name = name;
    this.#command = command;
    // An empty port is one that Docker chooses.
    this.#env = {
      ...process.env,
      DEVMESH_SHOP_IMAGE: shop,
      DEVMESH_REDIS_IMAGE: redis,
      SHOP_PORT: "",
      RATE: String(rate),
    };
  }

  /** Starts the shop without a mesh; `rate` is the shopper's, in requests per second. */
  static async start(name: string, rate = 0): Promise<ShopProject> {
    const project = new ShopProject(name, await composeCommand(), rate);
    await project.compose("up", "-d");
    return project;
  }

  /** Runs compose with arguments; answers what it printed, rejects when it failed. */
  async compose(...args: readonly string[]): Promise<string> {
    const [file = "", ...first] = this.#command;
    const all = [...first, "-p", this.name, "-f", path.join(root, "compose/shop.yaml"), ...args];
    return (await run(file, all, { env: this.#env, maxBuffer: outputBytesMax })).stdout;
  }

  /** http://127.0.0.1:<port> of the website's published port. */
  async url(): Promise<string> {
    const published = (await this.compose("port", "website", "8080")).trim();
    return `http://${published.replace("0.0.0.0", "127.0.0.1")}`;
  }

  async close(): Promise<void> {
    await this.compose("down", "-v", "-t", "2");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** The compose plugin where it is there, else the program of version 1. */
export async function composeCommand(): Promise<readonly string[]> {
  const hasPlugin = await run("docker", ["compose", "version"]).then(
    () => true,
    () => false,
  );
  return hasPlugin ? ["docker", "compose"] : ["docker-compose"];
}
