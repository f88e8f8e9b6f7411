// The images of this checkout: tags carry a hash of everything that goes in, so what is there is never built again.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { localBases, provideBases, published } from "./base-image.mjs";
import { nativeKoffiFile } from "./bundle.mjs";
import { fetchNativeKoffi } from "./foreign-koffi.mjs";
import { dist, logFile, root } from "./project.mjs";
import { capture, freshLog, logged, SetupError } from "./step.mjs";

/** Names that compose/shop.yaml falls back to, beside the hashed tags. */
const HAS_LATEST = new Set(["shop", "redis"]);

/** Builds what is missing and writes dist/images.json: { proxy, shop, redis } with the exact tags. */
export async function imagesStep(engine) {
  const recipes = await Promise.all([proxyRecipe(engine), shopRecipe(), redisRecipe()]);
  const known = await listImages();
  const wanted = recipes.filter((recipe) => recipe !== null);
  // With everything there no registry is asked: either pair of bases will do.
  const complete = [published, localBases(engine.arch)].find((bases) =>
    wanted.every((one) => known.has(tagOf(one, bases))),
  );
  const bases = complete ?? (await provideBases(engine, known));
  const missing = wanted.filter((recipe) => !known.has(tagOf(recipe, bases)));
  for (const recipe of missing) await build(recipe, bases);
  const tags = Object.fromEntries(wanted.map((recipe) => [recipe.name, tagOf(recipe, bases)]));
  await tagLatest(tags, missing.length > 0 ? await listImages() : known);
  writeFileSync(path.join(dist, "images.json"), `${JSON.stringify(tags, null, 2)}\n`);
  const done = missing.length === 0 ? "nothing to build" : `built ${missing.map((recipe) => recipe.name).join(", ")}`;
  return `${done}, on ${bases.isLocal ? "a local Debian base" : bases.node}`;
}

async function proxyRecipe(engine) {
  const bundle = path.join(dist, "proxy.mjs");
  if (!existsSync(bundle)) return null;
  const native = nativeKoffiFile("linux", engine.arch) ?? (await fetchNativeKoffi(engine.arch));
  return {
    name: "proxy",
    base: "node",
    files: [
      dockerfile("proxy.Dockerfile"),
      { name: "proxy.mjs", content: readFileSync(bundle) },
      { name: `koffi/linux-${engine.arch}/koffi.node`, content: readFileSync(native) },
    ],
  };
}

function shopRecipe() {
  const folder = path.join(root, "sample-shop");
  const names = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.(ts|json)$/.test(entry.name))
    .map((entry) =>
      path.relative(folder, path.join(entry.parentPath ?? entry.path, entry.name)).replaceAll(path.sep, "/"),
    )
    .sort();
  const sources = names.map((name) => ({ name: `shop/${name}`, content: readFileSync(path.join(folder, name)) }));
  return { name: "shop", base: "node", files: [dockerfile("shop.Dockerfile"), ...sources] };
}

function redisRecipe() {
  return { name: "redis", base: "debian", files: [dockerfile("redis.Dockerfile")] };
}

function dockerfile(name) {
  return { name: "Dockerfile", content: readFileSync(path.join(root, "compose", name)) };
}

function tagOf(recipe, bases) {
  const hash = createHash("sha256").update(`${bases[recipe.base]}\n`);
  for (const { name, content } of recipe.files) hash.update(`${name} ${content.length}\n`).update(content);
  return `devmesh/${recipe.name}:${hash.digest("hex").slice(0, 12)}`;
}

/** Every tagged image of the engine: tag to id. */
async function listImages() {
  const args = ["image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
  const { code, stdout, stderr } = await capture("docker", args);
  if (code !== 0)
    throw new SetupError({ what: `docker image ls failed: ${stderr.trim()}`, hint: "docker image ls", exitCode: 4 });
  return new Map(
    stdout
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(" ")),
  );
}

async function build(recipe, bases) {
  const { tarOf } = await import("./tar.mjs");
  const tag = tagOf(recipe, bases);
  // Docker defines these build arguments by itself: they reach apt-get and leave no trace in the image.
  const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];
  const passed = proxies.filter((name) => process.env[name]).flatMap((name) => ["--build-arg", name]);
  await logged({
    command: "docker",
    args: ["build", "--build-arg", `BASE=${bases[recipe.base]}`, ...passed, "-t", tag, "-"],
    input: tarOf(recipe.files.map((file) => ({ mode: 0o644, ...file }))),
    log: freshLog(logFile(`image-${recipe.name}`)),
    what: `the image ${tag} could not be built`,
    hint: "see the log, then run this again",
  });
}

async function tagLatest(tags, known) {
  for (const [name, tag] of Object.entries(tags)) {
    const latest = `devmesh/${name}:latest`;
    if (!HAS_LATEST.has(name) || known.get(latest) === known.get(tag)) continue;
    await logged({
      command: "docker",
      args: ["tag", tag, latest],
      log: freshLog(logFile("docker-tag")),
      what: "docker tag failed",
      hint: null,
    });
  }
}
