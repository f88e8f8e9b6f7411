// `devmesh split payment v2=20`: changes the weights in mesh.yaml, comments and formatting kept.
import { readFile, realpath, rename, rm, stat, writeFile } from "node:fs/promises";
import { Problem } from "../../daemon/api/problem.ts";
import { editSplit } from "../../daemon/spec/edit-split.ts";
import { loadSpec } from "../../daemon/spec/load.ts";
import { InvalidConfig } from "../daemon-process.ts";
import { type CommandContext, projectOf } from "./context.ts";

export async function split(context: CommandContext, service: string, assignments: readonly string[]): Promise<number> {
  const { output } = context;
  const project = await projectOf(context);
  const { meshFile } = project;
  if (meshFile === null)
    throw new Problem(
      "DM0003",
      "there is no mesh.yaml to write the split into",
      "see docs/mesh-yaml.md for a first one",
    );
  const weights = parseWeights(assignments);
  const before = await readFile(meshFile, "utf8");
  const edited = editSplit(before, { service, weights, file: meshFile });
  if (edited.kind === "invalid") throw new InvalidConfig(edited.diagnostics);
  const after = edited.text;
  const loaded = loadSpec(after, { file: meshFile, knownServices: project.knownServices });
  if (loaded.kind === "invalid") throw new InvalidConfig(loaded.diagnostics);
  if (after !== before) await replaceFile(meshFile, after);
  output.note(
    `${service}: ${Object.entries(edited.split)
      .map(([version, weight]) => `${version}=${weight}`)
      .join(" ")} ${after === before ? "(it was so already)" : "written"} to ${meshFile}`,
  );
  return 0;
}

function parseWeights(assignments: readonly string[]): Record<string, number> {
  const weights: Record<string, number> = {};
  for (const assignment of assignments) {
    const [, version, weight] = /^([a-z0-9][a-z0-9.-]*)=(\d{1,5})%?$/i.exec(assignment) ?? [];
    if (version === undefined || weight === undefined) {
      throw new Problem("DM0002", `"${assignment}" is no weight`, "write it as: devmesh split payment v2=20");
    }
    weights[version] = Number(weight);
  }
  return weights;
}

/** The file appears whole or not at all, keeps its permissions, and stays where a link to it points. */
async function replaceFile(path: string, text: string): Promise<void> {
  const target = await realpath(path);
  const { mode } = await stat(target);
  const draft = `${target}.devmesh-draft`;
  try {
    await writeFile(draft, text, { mode });
    await rename(draft, target);
  } catch (error) {
    await rm(draft, { force: true });
    throw new Problem("DM0001", `${path} could not be written: ${(error as Error).message}`, "nothing was changed");
  }
}
