// The tour: five things that the mesh does, each really done and measured on the running shop.
import { writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import http from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import type { ApiClient } from "../../daemon/api/client.ts";
import { Problem } from "../../daemon/api/problem.ts";
import { editSplit } from "../../daemon/spec/edit-split.ts";
import { run } from "../compose.ts";
import type { Output } from "../output.ts";
import type { Project } from "../project.ts";

const checkouts = 1000;
const concurrency = 16;

export interface TourDeps {
  readonly output: Output;
  readonly env: NodeJS.ProcessEnv;
  readonly client: ApiClient;
  readonly project: Project;
}

export async function tour(deps: TourDeps): Promise<void> {
  const { output, client } = deps;
  const url = (await client.status()).gateways[0]?.url;
  if (url === undefined)
    throw new Problem("DM0001", "the shop's mesh.yaml has no gateway any more", "restore compose/mesh.yaml");
  const shop = new Shop(url);
  try {
    await showSplit(deps, shop);
    await showReload(deps, shop);
    await showPlaintextRefused(deps);
    await showDenied(deps);
  } finally {
    shop.close();
  }
  output.note("");
}

async function showSplit({ output }: TourDeps, shop: Shop): Promise<void> {
  const started = performance.now();
  const seen = await shop.checkoutMany(checkouts);
  const ms = performance.now() - started;
  output.data(
    `split      ${checkouts} checkouts in ${(ms / 1000).toFixed(1)} s, set v1 90 / v2 10, seen ${words(seen)} (the shopper buys in between)`,
  );
}

async function showReload(deps: TourDeps, shop: Shop): Promise<void> {
  const { output, project } = deps;
  const path = project.meshFile ?? "";
  const before = await readFile(path, "utf8");
  const edited = editSplit(before, { service: "payment", weights: { v1: 0, v2: 100 } });
  const half = editSplit(before, { service: "payment", weights: { v1: 50, v2: 50 } });
  if (edited.kind === "invalid" || half.kind === "invalid") {
    throw new Problem("DM0001", "the shop's mesh.yaml has no split of payment any more", "restore compose/mesh.yaml");
  }
  // The file is the user's: whatever happens it ends as it was.
  const restore = () => writeFileSync(path, before);
  process.once("exit", restore);
  try {
    // 0/100 first: with it a first answer by v2 may be one of the ten in a hundred, twelve in a row are not.
    const started = performance.now();
    await writeFile(path, edited.text);
    const ms = await shop.timeUntilOnly("v2", started);
    output.data(`reload     mesh.yaml edited to v1 0 / v2 100: in effect ${ms.toFixed(0)} ms after the save`);
    const halfStarted = performance.now();
    await writeFile(path, half.text);
    while ((await shop.checkout()) !== "v1") await delay(1);
    const halfMs = performance.now() - halfStarted;
    const seen = await shop.checkoutMany(200);
    output.data(
      `           and to 50 / 50: in effect after ${halfMs.toFixed(0)} ms, 200 checkouts gave ${words(seen)}`,
    );
  } finally {
    restore();
    process.off("exit", restore);
  }
}

/** A container on the shop's own network that is not in the mesh, calling payment in plaintext. */
async function showPlaintextRefused({ output, env, project }: TourDeps): Promise<void> {
  const image = env.DEVMESH_SHOP_IMAGE ?? "devmesh/shop:latest";
  const script = `fetch("http://payment-v1:8080/charge",{method:"POST"}).then(r=>console.log("answered "+r.status),e=>console.log(e.cause?.code??e.message))`;
  const args = ["run", "--rm", "--network", `${project.name}_default`, "--entrypoint", "node", image, "-e", script];
  const { stdout, stderr, code } = await run({ command: "docker", args, env });
  if (code !== 0) throw new Problem("DM0001", `docker run failed: ${stderr.trim()}`);
  output.data(`plaintext  a container outside the mesh calls payment in plaintext: ${stdout.trim()}`);
}

async function showDenied({ output, env, project }: TourDeps): Promise<void> {
  const script = `fetch("http://payment:8080/charge",{method:"POST"}).then(async r=>console.log(r.status+" "+(await r.text()).trim()),e=>console.log(String(e.cause??e)))`;
  const { stdout: id } = await run({ command: "docker", args: ["ps", "-q", ...labels(project, "website")], env });
  const { stdout } = await run({
    command: "docker",
    args: ["exec", id.trim().split("\n")[0] ?? "", "node", "-e", script],
    env,
  });
  output.data(`authorized website calls payment directly: ${stdout.trim()}`);
}

function labels(project: Project, service: string): string[] {
  return [`label=com.docker.compose.project=${project.name}`, `label=com.docker.compose.service=${service}`].flatMap(
    (label) => ["--filter", label],
  );
}

function words(seen: ReadonlyMap<string, number>): string {
  return [...seen]
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([version, count]) => `${version} ${count}`)
    .join(" / ");
}

/** A customer: puts one thing into a cart and checks out. */
class Shop {
  readonly #url: string;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: concurrency });

  constructor(url: string) {
    this.#url = url;
  }

  /** The version of payment that charged. Throws with the status and the reason when the checkout failed. */
  async checkout(): Promise<string> {
    const charge = await this.#send("POST", "/api/checkout", { items: [{ product: "mug", quantity: 1 }] });
    return String((charge as { version?: unknown }).version);
  }

  /** Milliseconds from `started` to the first of twelve answers in a row by one version. */
  async timeUntilOnly(version: string, started: number): Promise<number> {
    for (let inRow = 0, first = 0; ; ) {
      inRow = (await this.checkout()) === version ? inRow + 1 : 0;
      if (inRow === 1) first = performance.now() - started;
      if (inRow === 12) return first;
      if (performance.now() - started > 10_000)
        throw new Problem("DM0301", "the edit was not in effect after 10 s", "see devmesh status");
    }
  }

  async checkoutMany(count: number): Promise<Map<string, number>> {
    const seen = new Map<string, number>();
    const customer = async (share: number) => {
      for (let i = 0; i < share; i++) {
        const version = await this.checkout();
        seen.set(version, (seen.get(version) ?? 0) + 1);
      }
    };
    const share = Math.ceil(count / concurrency);
    const shares = Array.from({ length: concurrency }, (_, i) => Math.max(0, Math.min(share, count - i * share)));
    await Promise.all(shares.map(customer));
    return seen;
  }

  close(): void {
    this.#agent.destroy();
  }

  async #send(method: string, path: string, body: unknown): Promise<unknown> {
    const text = JSON.stringify(body);
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
    const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const request = http.request(
        new URL(path, this.#url),
        { method, headers, agent: this.#agent, timeout: 10_000 },
        resolve,
      );
      request.on("timeout", () => request.destroy(new Error(`${method} ${path} took longer than 10 s`)));
      request.on("error", reject);
      request.end(text);
    });
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const answer = Buffer.concat(chunks).toString("utf8");
    if ((response.statusCode ?? 0) >= 400)
      throw new Problem(
        "DM0001",
        `the shop answered ${method} ${path} with ${response.statusCode}: ${answer.slice(0, 300)}`,
      );
    return JSON.parse(answer);
  }
}
