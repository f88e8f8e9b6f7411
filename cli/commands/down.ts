// `devmesh down`: compose down where there is a compose file, then everything of the mesh; also after a kill -9 of the daemon.
import { dirname } from "node:path";
import { Problem } from "../../daemon/api/problem.ts";
import { fileArgs, findCompose, runShown } from "../compose.ts";
import { daemonOptions, findDaemon, isProblemCode, startDaemon } from "../daemon-process.ts";
import { Steps } from "../output.ts";
import type { Project } from "../project.ts";
import { type CommandContext, projectOf } from "./context.ts";

export interface DownFlags {
  readonly compose: boolean;
  readonly volumes?: boolean;
}

export async function down(context: CommandContext, flags: DownFlags): Promise<number> {
  const { output, env } = context;
  const steps = new Steps(output);
  const project = await projectOf(context);
  // Without a running mesh there may still be containers and a network of one that was killed: a daemon finds them.
  const client =
    (await findDaemon(project, env)) ??
    (await startDaemon({ ...daemonOptions(project, env), isOnlyDown: true }, { env, onStep: () => undefined }));
  for await (const line of client.down()) {
    if (line.t === "step") output.note(output.paint.dim(`   ${line.text}`));
    if (line.t === "problem")
      throw new Problem(isProblemCode(line.code) ? line.code : "DM0001", line.message, line.hint);
  }
  steps.done("mesh removed");
  if (flags.compose && project.composeFiles.length > 0)
    await stopCompose(context, { project, hasVolumes: flags.volumes === true, steps });
  return 0;
}

async function stopCompose(
  context: CommandContext,
  parts: { project: Project; hasVolumes: boolean; steps: Steps },
): Promise<void> {
  const { project, hasVolumes, steps } = parts;
  const { composeFiles } = project;
  const compose = await findCompose(context.env);
  if (compose === null)
    throw new Problem("DM0404", "neither docker compose nor docker-compose is there", "pass --no-compose");
  const args = [
    ...compose.args,
    "-p",
    project.name,
    ...fileArgs(composeFiles),
    "down",
    ...(hasVolumes ? ["--volumes"] : []),
  ];
  const cwd = dirname(composeFiles[0] ?? project.folder);
  const code = await runShown({ command: compose.command, args, env: context.env, cwd });
  if (code !== 0)
    throw new Problem("DM0404", `${compose.command} down failed with exit code ${code}`, "its messages are above");
  steps.done("compose down");
}
