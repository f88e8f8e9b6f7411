// `devmesh up`: daemon first, then compose, then wait until every sidecar is ready.
import { dirname } from "node:path";
import type { ApiClient } from "../../daemon/api/client.ts";
import { Problem } from "../../daemon/api/problem.ts";
import { outdatedReason, type StatusView } from "../../daemon/api/view.ts";
import { type ComposeCommand, fileArgs, requireCompose, runShown } from "../compose.ts";
import { composeEnv, daemonOptions, InvalidConfig, isMeshUp, startOrReplace } from "../daemon-process.ts";
import { Steps } from "../output.ts";
import type { Project } from "../project.ts";
import { type CommandContext, commandOf, projectOf } from "./context.ts";
import { watch } from "./watch.ts";

export interface UpFlags {
  readonly detach?: boolean;
  readonly wait?: boolean;
  /** Seconds. */
  readonly timeout: number;
  readonly compose: boolean;
  readonly tui: boolean;
  readonly renew?: boolean;
}

export async function up(context: CommandContext, flags: UpFlags, composeArgs: readonly string[]): Promise<number> {
  const { output } = context;
  const steps = new Steps(output);
  const project = await projectOf(context);
  if (project.loaded?.kind === "invalid") throw new InvalidConfig(project.loaded.diagnostics);
  for (const warning of project.loaded?.warnings ?? []) output.diagnostic(warning);
  const isComposed = flags.compose && project.composeFiles.length > 0;
  // Before anything is started: without it there is nothing to attach to.
  const compose = isComposed ? await requireCompose(context.env) : null;
  const { client, isFresh } = await startMesh(context, project, steps);
  if (compose !== null) {
    const before = isFresh ? await client.status() : null;
    try {
      await startCompose(context, { project, compose, composeArgs, steps });
    } catch (error) {
      const { undoUp } = await import("./undo-up.ts");
      throw await undoUp({ project, client, compose, env: context.env, before }, error);
    }
  }
  if (flags.renew === true) await renewWhenReady(client, flags.timeout * 1000);
  const view = await client.wait(flags.timeout * 1000);
  const ready = readySidecars(view);
  steps.done(`${ready} ${ready === 1 ? "sidecar" : "sidecars"} ready and in sync`);
  if (output.isJson) output.data(JSON.stringify(view, null, 2));
  else summarize(context, view);
  if (flags.detach === true || flags.wait === true || output.isJson) return 0;
  await watch(context, { project, client }, { hasScreen: flags.tui && output.isInteractive });
  const own = commandOf(context);
  output.note(
    isMeshUp(project, context.env)
      ? `the mesh of ${project.name} goes on; stop it with: ${own} down   (see it again: ${own} up)`
      : `the mesh of ${project.name} was taken down`,
  );
  return 0;
}

interface StartedMesh {
  readonly client: ApiClient;
  /** This command has started it. */
  readonly isFresh: boolean;
}

async function startMesh(context: CommandContext, project: Project, steps: Steps): Promise<StartedMesh> {
  const { env } = context;
  const start = async () => await startOrReplace(daemonOptions(project, env), { env, onStep: () => undefined });
  const { client, kind } = await start().catch(async (error: unknown) => {
    // An image that somebody named is theirs to bring.
    const isOwn = error instanceof Problem && error.code === "DM0403" && !env.DEVMESH_PROXY_IMAGE;
    if (!isOwn) throw error;
    const { buildMissing } = await import("./image.ts");
    await buildMissing({ ...context, steps, base: null }, ["proxy"]);
    return await start();
  });
  if (kind === "found") steps.done(`the mesh of ${project.name} is up already`);
  else if (kind === "replaced") steps.done(`the mesh of ${project.name} is up already, its daemon was started anew`);
  else steps.done(`daemon of ${project.name} started${kind === "revived" ? " again" : ""}`);
  return { client, isFresh: kind === "started" };
}

interface ComposeStart {
  readonly project: Project;
  readonly compose: ComposeCommand;
  readonly composeArgs: readonly string[];
  readonly steps: Steps;
}

async function startCompose(context: CommandContext, start: ComposeStart): Promise<void> {
  const { project, compose, composeArgs, steps } = start;
  const env = composeEnv(project, context.env);
  const { composeFiles } = project;
  const first = composeFiles[0] ?? project.folder;
  const args = [...compose.args, "-p", project.name, ...fileArgs(composeFiles), "up", "-d", ...composeArgs];
  const code = await runShown({ command: compose.command, args, env, cwd: dirname(first) });
  if (code !== 0) {
    throw new Problem(
      "DM0404",
      `${compose.command} up failed with exit code ${code}`,
      "its messages are above; the mesh stays up: devmesh down stops it",
    );
  }
  steps.done("compose up -d");
}

/** Replicas stand in for each other only once all of them are there. */
async function renewWhenReady(client: ApiClient, timeoutMs: number): Promise<void> {
  await client.wait(timeoutMs);
  await client.renew();
}

function readySidecars(view: StatusView): number {
  return view.services.flatMap((service) => service.workloads).filter((workload) => workload.sidecar === "ready")
    .length;
}

function summarize(context: CommandContext, view: StatusView): void {
  const { output } = context;
  const { paint } = output;
  const own = commandOf(context);
  output.note("");
  for (const { url, to, reason } of view.gateways)
    output.note(`  ${paint.bold(url)} -> ${to}${reason === "" ? "" : `   ${paint.dim(reason)}`}`);
  for (const unmeshed of view.unmeshed)
    output.note(`  ${paint.yellow("not in the mesh:")} ${unmeshed.container}: ${unmeshed.reason}`);
  const outdated = view.services
    .flatMap(({ workloads }) => workloads)
    .filter(({ reason }) => reason === outdatedReason);
  if (outdated.length > 0) {
    const what = `${outdated.length} of another version: each is replaced when its container restarts, or now by`;
    output.note(`  ${paint.yellow("sidecars:")} ${what}: ${own} up --renew`);
  }
  output.note(`  see it:    ${own} status`);
  output.note(`  change it: edit mesh.yaml, it is live when you save`);
  output.note(`  stop it:   ${own} down`);
}
