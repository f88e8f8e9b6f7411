// The images of the tests' foreign project, for `npm test` alone: users of the mesh never need them.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { dist, logFile, root } from "./project.mjs";
import { capture, freshLog, logged } from "./step.mjs";

/** Docker defines these build arguments by itself: they reach apt-get and leave no trace in the image. */
const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/** Builds what is missing and writes dist/test-images.json: { foreign, "foreign-static" } with the exact tags. */
export async function testImagesStep() {
  const { base } = JSON.parse(readFileSync(path.join(dist, "images.json"), "utf8"));
  const services = await provide("foreign", "services.Dockerfile", base);
  // Its one binary comes out of the other image.
  const empty = await provide("foreign-static", "static.Dockerfile", services.tag);
  const tags = { foreign: services.tag, "foreign-static": empty.tag };
  writeFileSync(path.join(dist, "test-images.json"), `${JSON.stringify(tags, null, 2)}\n`);
  const built = [services, empty].filter(({ isBuilt }) => isBuilt).map(({ tag }) => tag);
  return built.length === 0 ? "nothing to build" : `built ${built.join(", ")}`;
}

/** The tag has a hash of all that goes in, so what is there is never built again. */
async function provide(name, file, base) {
  const dockerfile = readFileSync(path.join(root, "test/foreign", file));
  const hash = createHash("sha256").update(`${base}\n`).update(dockerfile).digest("hex").slice(0, 12);
  const tag = `devmesh/${name}:${hash}`;
  const { code } = await capture("docker", ["image", "inspect", "--format", "{{.Id}}", tag]);
  if (code === 0) return { tag, isBuilt: false };
  const passed = proxies.filter((variable) => process.env[variable]).flatMap((variable) => ["--build-arg", variable]);
  await logged({
    command: "docker",
    args: ["build", "--build-arg", `BASE=${base}`, ...passed, "-t", tag, "-"],
    input: dockerfile,
    log: freshLog(logFile(`image-${name}`)),
    what: `the image ${tag} could not be built`,
    hint: "see the log, then run this again",
  });
  return { tag, isBuilt: true };
}
