// `npm run bench`: set-up, then the benchmark on the pinned Node; arguments go through (`-- --case up,reload,recover`).
import { foreground } from "./lib/child.mjs";
import { pinnedNode } from "./lib/project.mjs";
import { explain } from "./lib/step.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp();
  process.exitCode = await foreground(pinnedNode(), ["test/bench/main.ts", ...process.argv.slice(2)]);
} catch (error) {
  process.exitCode = explain(error);
}
