// `npm test`: set-up, then vitest on the pinned Node. `--unit` needs no Docker, `--long` runs only what takes minutes; other
// arguments are vitest's.
// The last line counts what vitest's own JSON report says, so that a crash can never read as a pass.
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { foreground } from "./lib/child.mjs";
import { pinnedNode, root } from "./lib/project.mjs";
import { explain, step } from "./lib/step.mjs";
import { testImagesStep } from "./lib/test-images.mjs";
import { installTestTools } from "./lib/test-tools.mjs";
import { setUp } from "./setup.mjs";

const report = path.join(root, "test-results", "vitest.json");

async function main(argv) {
  const isUnit = argv.includes("--unit");
  const isLong = argv.includes("--long");
  const projects = isUnit ? ["unit"] : isLong ? ["long"] : ["unit", "docker"];
  const passed = argv.filter((argument) => argument !== "--unit" && argument !== "--long");
  rmSync(report, { force: true });
  mkdirSync(path.dirname(report), { recursive: true });
  await setUp({ docker: !isUnit });
  if (!isUnit) {
    await step("test tools", installTestTools);
    await step("test images", testImagesStep);
  }
  return foreground(pinnedNode(), [
    path.join(root, "node_modules/vitest/vitest.mjs"),
    "run",
    ...projects.flatMap((project) => ["--project", project]),
    "--reporter=default",
    "--reporter=json",
    `--outputFile.json=${report}`,
    ...passed,
  ]);
}

/** { passed, failed } of the report; a suite that could not even be collected counts as a failure. */
function count(exitCode) {
  try {
    const { numPassedTests, numFailedTests, testResults } = JSON.parse(readFileSync(report, "utf8"));
    const broken = testResults.filter(
      (file) => file.status === "failed" && !file.assertionResults.some((one) => one.status === "failed"),
    );
    const failed = numFailedTests + broken.length;
    // An unhandled error fails the run without failing a test.
    return { passed: numPassedTests, failed: failed === 0 && exitCode !== 0 ? 1 : failed };
  } catch {
    return { passed: 0, failed: 1 };
  }
}

const exitCode = await main(process.argv.slice(2)).catch(explain);
const { passed, failed } = count(exitCode);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = exitCode === 0 && failed > 0 ? 1 : exitCode;
