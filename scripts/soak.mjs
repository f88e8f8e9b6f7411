// `npm run soak`: set-up, then random faults under load on the pinned Node; arguments go through (`-- --minutes 5 --seed 1`).
import { foreground } from "./lib/child.mjs";
import { pinnedNode } from "./lib/project.mjs";
import { explain } from "./lib/step.mjs";
import { installTestTools } from "./lib/test-tools.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp();
  await installTestTools();
  process.exitCode = await foreground(pinnedNode(), ["test/soak/main.ts", ...process.argv.slice(2)]);
} catch (error) {
  process.exitCode = explain(error);
}
