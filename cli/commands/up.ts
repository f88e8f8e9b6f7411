// `devmesh up`: daemon first, then compose, then wait until every sidecar is ready.
import { dirname } from "node:path";
import type { ApiClient } from "../../daemon/api/client.ts";
import { Problem } from "../../daemon/api/problem.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { fileArgs, findCompose, runShown } from "../compose.ts";
import { daemonOptions, findDaemon, InvalidConfig, startDaemon } from "../daemon-process.ts";
import { Steps } from "../output.ts";
import type { Project } from "../project.ts";
import { type CommandContext, projectOf } from "./context.ts";
import { watch } from "./watch.ts";

export interface UpFlags {
  readonly detach?: boolean;
  readonly wait?: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly compose: boolean;
  readonly tui: boolean;
}

export async function up(context: CommandContext, flags: UpFlags, composeArgs: readonly string[]): Promise<number> {
  const { output } = context;
  const steps = new Steps(output);
  const project = await projectOf(context);
  if (project.loaded?.kind === "invalid") throw new InvalidConfig(project.loaded.diagnostics);
  for (const warning of project.loaded?.warnings ?? []) output.diagnostic(warning);
  const client = await startOrFind(context, project, steps);
  if (flags.compose && project.composeFiles.length > 0) await startCompose(context, { project, composeArgs, steps });
  const view = await client.wait(flags.timeout * 1000);
  steps.done(`${readySidecars(view)} sidecars ready and in sync`);
  if (output.isJson) output.data(JSON.stringify(view, null, 2));
  else summarize(context, view);
  if (flags.detach === true || flags.wait === true || output.isJson) return 0;
  await watch(context, client, { hasScreen: flags.tui && output.isInteractive });
  output.note(`the mesh of ${project.name} goes on; stop it with: devmesh down   (see it again: devmesh up)`);
  return 0;
}

async function startOrFind(context: CommandContext, project: Project, steps: Steps): Promise<ApiClient> {
  const { env } = context;
  const known = await findDaemon(project, env);
  if (known !== null) {
    steps.done(`the mesh of ${project.name} is up already`);
    return known;
  }
  const client = await startDaemon(daemonOptions(project, env), { env, onStep: () => undefined });
  steps.done(`daemon of ${project.name} started`);
  return client;
}

async function startCompose(
  context: CommandContext,
  parts: { project: Project; composeArgs: readonly string[]; steps: Steps },
): Promise<void> {
  const { project, composeArgs, steps } = parts;
  const { composeFiles } = project;
  const compose = await findCompose(context.env);
  if (compose === null) {
    throw new Problem(
      "DM0404",
      "there is a compose file, but neither docker compose nor docker-compose",
      "install one, or pass --no-compose",
    );
  }
  const first = composeFiles[0] ?? project.folder;
  const args = [...compose.args, "-p", project.name, ...fileArgs(composeFiles), "up", "-d", ...composeArgs];
  const code = await runShown({ command: compose.command, args, env: context.env, cwd: dirname(first) });
  if (code !== 0) {
    throw new Problem(
      "DM0404",
      `${compose.command} up failed with exit code ${code}`,
      "its messages are above; the mesh stays up: devmesh down stops it",
    );
  }
  steps.done("compose up -d");
}

function readySidecars(view: StatusView): number {
  return view.services.flatMap((service) => service.workloads).filter((workload) => workload.sidecar === "ready")
    .length;
}

function summarize({ output }: CommandContext, view: StatusView): void {
  const { paint } = output;
  output.note("");
  for (const gateway of view.gateways) output.note(`  ${paint.bold(gateway.url)} -> ${gateway.to}`);
  for (const unmeshed of view.unmeshed)
    output.note(`  ${paint.yellow("not in the mesh:")} ${unmeshed.container}: ${unmeshed.reason}`);
  output.note(`  see it:    devmesh status`);
  output.note(`  change it: edit mesh.yaml, it is live when you save`);
  output.note(`  stop it:   devmesh down`);
}
