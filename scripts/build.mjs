// `npm run build`: dist/devmesh.mjs, dist/proxy.mjs and what they load at run time.
import { buildBundles } from "./lib/bundle.mjs";
import { explain, step } from "./lib/step.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp({ docker: false });
  await step("bundles", buildBundles);
} catch (error) {
  process.exitCode = explain(error);
}
