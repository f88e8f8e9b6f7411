// `devmesh down`: compose down where there is a compose file, then everything of the mesh; also after a kill -9 of the daemon.
import { dirname } from "node:path";
import { Problem } from "../../daemon/api/problem.ts";
import { fileArgs, requireCompose, runShown } from "../compose.ts";
import { composeEnv, isMeshUp, takeDown } from "../daemon-process.ts";
import { Steps } from "../output.ts";
import type { Project } from "../project.ts";
import { type CommandContext, projectOfMesh } from "./context.ts";

export interface DownFlags {
  readonly compose: boolean;
  readonly volumes?: boolean;
}

export async function down(context: CommandContext, flags: DownFlags): Promise<number> {
  const steps = new Steps(context.output);
  const project = await projectOfMesh(context);
  const hasCompose = flags.compose && project.composeFiles.length > 0;
  // Where the mesh is gone, so is what it says of its engine.
  const env = composeEnv(project, context.env);
  const stop = () => stopCompose(env, { project, hasVolumes: flags.volumes === true, steps });
  if (!hasCompose || !isMeshUp(project, context.env)) {
    await removeMesh(context, project, steps);
    if (hasCompose) await stop();
    return 0;
  }
  // Applications end with their sidecars still there; what runs no more need not be given its network back.
  const failure = await stop().then(
    () => null,
    (error: unknown) => error,
  );
  await removeMesh(context, project, steps);
  if (failure !== null) throw failure;
  return 0;
}

/** Without a running mesh there may still be containers and a network of one that was killed: they are found as well. */
async function removeMesh({ output, env }: CommandContext, project: Project, steps: Steps): Promise<void> {
  let isThere = isMeshUp(project, env);
  for await (const step of takeDown(project, env)) {
    output.note(output.paint.dim(`   ${step}`));
    isThere = true;
  }
  steps.done(isThere ? "mesh removed" : `there is no mesh of ${project.name} any more`);
}

async function stopCompose(
  env: NodeJS.ProcessEnv,
  parts: { project: Project; hasVolumes: boolean; steps: Steps },
): Promise<void> {
  const { project, hasVolumes, steps } = parts;
  const { composeFiles } = project;
  const compose = await requireCompose(env);
  const args = [
    ...compose.args,
    "-p",
    project.name,
    ...fileArgs(composeFiles),
    "down",
    ...(hasVolumes ? ["--volumes"] : []),
  ];
  const cwd = dirname(composeFiles[0] ?? project.folder);
  const code = await runShown({ command: compose.command, args, env, cwd });
  if (code !== 0)
    throw new Problem("DM0404", `${compose.command} down failed with exit code ${code}`, "its messages are above");
  steps.done("compose down");
}
