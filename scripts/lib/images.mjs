// The images of this checkout: built by devmesh's own `image build`, as an installed one does it, on a base that this set-up provides.
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { provideBase } from "./base-image.mjs";
import { copyNativeKoffi, nativeKoffiFile } from "./bundle.mjs";
import { fetchNativeKoffi } from "./foreign-koffi.mjs";
import { dist, logFile, pinnedNode } from "./project.mjs";
import { capture, freshLog, logged, SetupError } from "./step.mjs";

const file = path.join(dist, "images.json");

/** Builds what is missing and writes dist/images.json: { base, proxy, shop, redis } with the exact tags. */
export async function imagesStep(engine) {
  await provideNativeKoffi(engine.arch);
  const known = await listImages();
  const base = await provideBase(engine, known);
  // What the command reads its base from.
  writeJson({ ...readJson(), base: base.name });
  const { built, removed, ...tags } = await buildImages();
  writeJson(tags);
  await tagLatest(tags, built.length > 0 ? await listImages() : known);
  const done = built.length === 0 ? "nothing to build" : `built ${built.join(", ")}`;
  const gone = removed > 0 ? `, removed ${removed} of former builds` : "";
  return `${done}${gone}, on ${base.isLocal ? "a local Debian base" : base.name}`;
}

/** The bundles come with this machine's own; the engine may have another architecture, or this be no Linux. */
async function provideNativeKoffi(arch) {
  if (nativeKoffiFile("linux", arch) === null) copyNativeKoffi(await fetchNativeKoffi(arch), `linux-${arch}`);
}

async function buildImages() {
  const args = [path.join(dist, "devmesh.mjs"), "image", "build", "--demo", "--json"];
  const { code, stdout, stderr } = await capture(pinnedNode(), args);
  if (code === 0) return JSON.parse(stdout);
  const log = freshLog(logFile("images"));
  writeFileSync(log, stderr);
  throw new SetupError({ what: "the images could not be built", log, hint: "see the log, then run this again" });
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

/** The names that compose/shop.yaml falls back to, for compose by hand. */
async function tagLatest(tags, known) {
  for (const name of ["shop", "redis"]) {
    const latest = `devmesh/${name}:latest`;
    if (known.get(latest) === known.get(tags[name])) continue;
    await logged({
      command: "docker",
      args: ["tag", tags[name], latest],
      log: freshLog(logFile("docker-tag")),
      what: "docker tag failed",
      hint: null,
    });
  }
}

function readJson() {
  try {
    return JSON.parse(readFileSync(file, "utf8"));
  } catch {
    return {};
  }
}

function writeJson(value) {
  writeFileSync(file, `${JSON.stringify(value, null, 2)}\n`);
}
