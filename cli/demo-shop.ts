// Where the demo's shop runs: in this devmesh's own compose folder, or, where that clashes with something, in a copy.
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, sep } from "node:path";
import { makeRuntimeFolder } from "../daemon/api/paths.ts";
import { Problem } from "../daemon/api/problem.ts";
import { loadSpec } from "../daemon/spec/load.ts";
import { run } from "./compose.ts";
import { isMeshUp } from "./daemon-process.ts";
import { findFreePort, isPortFree } from "./free-port.ts";
import { recipeOf } from "./image/recipe.ts";
import { packageFolder } from "./package-folder.ts";
import { resolveProject } from "./project.ts";

/** The website's own published port, beside the mesh's. */
const shopPort = 3000;
/** The mesh's. */
const gatewayPort = 8080;

export interface DemoShop {
  readonly folder: string;
  /** For compose and the mesh. */
  readonly env: NodeJS.ProcessEnv;
  /** What differs from the page in the README and why, for the user; []: nothing. */
  readonly notes: readonly string[];
}

/** Throws Problem DM0401 for a port that is taken, or when none is free. */
export async function chooseShop(given: NodeJS.ProcessEnv, port: number | undefined): Promise<DemoShop> {
  const own = shopFolder();
  // What names the user's own project must not make the shop a part of it.
  const { COMPOSE_PROJECT_NAME: _name, COMPOSE_FILE: _file, DEVMESH_FILE: _mesh, ...env } = given;
  const withImages = { ...shopImages(), ...env };
  if (port === undefined && (await isUp(own, withImages))) return { folder: own, env: withImages, notes: [] };
  const copy = join(tmpdir(), `devmesh-shop-${process.getuid?.() ?? 0}-${keyOf(own, port)}`);
  if (existsSync(join(copy, "mesh.yaml")) && (await isUp(copy, withImages))) {
    return { folder: copy, env: withImages, notes: [`the shop of ${copy} is up already`] };
  }
  const clash = port === undefined ? await whyNotIn(own, withImages) : null;
  if (port === undefined && clash === null && isForEditing(own)) return inOwn(own, withImages);
  if (port !== undefined && !(await isPortFree(port))) {
    throw new Problem("DM0401", `the host port 127.0.0.1:${port} is in use`, "choose another --port");
  }
  const chosen = port ?? (clash === null ? gatewayPort : await findFreePort(8081));
  if (chosen === null) throw new Problem("DM0401", "no host port from 8081 on is free", "choose one with --port");
  writeCopy({ from: own, to: copy, port: chosen, key: keyOf(own, port) });
  const notes = [
    ...(clash === null ? [] : [`${clash}: this shop takes port ${chosen}, under a name of its own`]),
    `the mesh.yaml to edit is ${join(copy, "mesh.yaml")}`,
  ];
  return { folder: copy, env: withImages, notes };
}

async function inOwn(folder: string, env: NodeJS.ProcessEnv): Promise<DemoShop> {
  if (env.SHOP_PORT !== undefined || (await isPortFree(shopPort))) return { folder, env, notes: [] };
  const note = `port ${shopPort} is in use: the website's own port is one that Docker chooses (or set SHOP_PORT)`;
  return { folder, env: { ...env, SHOP_PORT: "" }, notes: [note] };
}

async function isUp(folder: string, env: NodeJS.ProcessEnv): Promise<boolean> {
  return isMeshUp(await projectIn(folder, env), env);
}

function projectIn(folder: string, env: NodeJS.ProcessEnv) {
  return resolveProject({ cwd: folder, env, file: join(folder, "mesh.yaml"), name: undefined });
}

/** Null: nothing is in the way. Docker that does not answer is not: `up` says that better. */
async function whyNotIn(folder: string, env: NodeJS.ProcessEnv): Promise<string | null> {
  const { name, loaded } = await projectIn(folder, env);
  const ask = async (...args: string[]) => (await run({ command: "docker", args, env })).stdout.split("\n");
  const format = '{{.Label "com.docker.compose.project.working_dir"}}';
  const filter = `label=com.docker.compose.project=${name}`;
  const [folders, networks] = await Promise.all([
    ask("ps", "-a", "--filter", filter, "--format", format),
    ask("network", "ls", "--filter", "label=dev.devmesh.mesh", "--format", '{{.Label "dev.devmesh.mesh"}}'),
  ]);
  const other = folders.find((one) => one !== "" && one !== folder);
  if (other !== undefined) return `a project ${name} of ${other} is there`;
  // This folder's mesh is not up: a network of its name is somebody else's.
  if (loaded?.kind === "ok" && networks.includes(loaded.spec.name ?? name)) return `another mesh ${name} is up`;
  const ports = loaded?.kind === "ok" ? loaded.spec.gateways.map(({ port }) => port) : [];
  for (const port of ports) if (!(await isPortFree(port))) return `port ${port} is in use`;
  return null;
}

interface Copy {
  readonly from: string;
  readonly to: string;
  readonly port: number;
  readonly key: string;
}

/** The same files with names and a port of their own; what an earlier demo had there is written anew. */
function writeCopy({ from, to, port, key }: Copy): void {
  makeRuntimeFolder(to);
  const mesh = readFileSync(join(from, "mesh.yaml"), "utf8")
    .replace(/^name:.*$/m, `name: shop-${key}`)
    .replaceAll("127.0.0.1:8080", `127.0.0.1:${port}`)
    .replace(/listen: *8080/, `listen: ${port}`);
  const spec = loadSpec(mesh, { file: "mesh.yaml" });
  if (spec.kind !== "ok" || spec.spec.gateways.every((gateway) => gateway.port !== port)) {
    throw new Problem(
      "DM0401",
      "port 8080 is not the only one of compose/mesh.yaml",
      "restore that file, or free its ports",
    );
  }
  writeFileSync(join(to, "mesh.yaml"), mesh);
  writeFileSync(join(to, "shop.yaml"), readFileSync(join(from, "shop.yaml")));
  // Read by devmesh and by both versions of compose; an empty port is one that Docker chooses.
  const names = { COMPOSE_PROJECT_NAME: `shop-${key}`, SHOP_PORT: "", ...shopImages() };
  writeFileSync(
    join(to, ".env"),
    Object.entries(names)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
}

/** One copy for each devmesh and each port that was asked for. */
function keyOf(folder: string, port: number | undefined): string {
  return createHash("sha256")
    .update(`${folder}\n${port ?? ""}`)
    .digest("hex")
    .slice(0, 6);
}

/** An installed package's files are not: they may be another user's, and the next upgrade replaces them. */
function isForEditing(folder: string): boolean {
  if (folder.split(sep).includes("node_modules")) return false;
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function shopFolder(): string {
  return join(packageFolder, "compose");
}

/** Which images the shop runs. */
function shopImages(): Record<string, string> {
  return { DEVMESH_SHOP_IMAGE: recipeOf("shop").tag, DEVMESH_REDIS_IMAGE: recipeOf("redis").tag };
}
