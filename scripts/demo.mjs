// `npm run demo`: set-up, then `devmesh demo` on the pinned Node; arguments go through.
import path from "node:path";
import { foreground } from "./lib/child.mjs";
import { dist, pinnedNode } from "./lib/project.mjs";
import { explain } from "./lib/step.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp();
  process.exitCode = await foreground(pinnedNode(), [path.join(dist, "devmesh.mjs"), "demo", ...process.argv.slice(2)]);
} catch (error) {
  process.exitCode = explain(error);
}
