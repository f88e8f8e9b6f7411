// Makes a fresh checkout ready: npm packages, a Docker engine, the bundles, the images. Needs nothing but Node 20.
// Run by hand (`npm run setup`), or first by the other scripts.
import { pathToFileURL } from "node:url";
import { installDependencies } from "./lib/dependencies.mjs";
import { explain, step } from "./lib/step.mjs";

/** Everything, in order. `docker: false` stops after the packages. */
export async function setUp({ docker = true } = {}) {
  await step("npm packages", installDependencies);
  if (!docker) return;
  // Loaded late: the bundler is one of the packages.
  const { engineStep } = await import("./lib/engine.mjs");
  const { buildBundles } = await import("./lib/bundle.mjs");
  const { imagesStep } = await import("./lib/images.mjs");
  const engine = await step("Docker", engineStep);
  await step("bundles", buildBundles);
  await step("images", () => imagesStep(engine));
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  await setUp().catch((error) => {
    process.exitCode = explain(error);
  });
}
