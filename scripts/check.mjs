// `npm run check`: types, then lint and format; both always run, so that one look shows everything.
import path from "node:path";
import { foreground } from "./lib/child.mjs";
import { root } from "./lib/project.mjs";
import { explain } from "./lib/step.mjs";
import { setUp } from "./setup.mjs";

try {
  await setUp({ docker: false });
  const bin = (name) => path.join(root, "node_modules", ".bin", process.platform === "win32" ? `${name}.cmd` : name);
  const types = await foreground(bin("tsc"), ["-p", root]);
  const lint = await foreground(bin("biome"), ["check", ...process.argv.slice(2), root]);
  process.exitCode = types || lint;
} catch (error) {
  process.exitCode = explain(error);
}
