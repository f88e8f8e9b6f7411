// `devmesh up --plan`: what `up` would do, in words or as JSON; changes nothing.
import { envOnEngine, readOptions } from "../../daemon/api/options.ts";
import type { PlanRequest, PlanView } from "../../daemon/api/plan-view.ts";
import { requireCompose } from "../compose.ts";
import { composeIntent } from "../compose-intent.ts";
import { daemonOptions, InvalidConfig, pathsOf } from "../daemon-process.ts";
import type { Project } from "../project.ts";
import { planLines } from "../screen/plan-lines.ts";
import { type CommandContext, projectOf } from "./context.ts";
import type { UpFlags } from "./up.ts";

export interface PlanInput {
  readonly composeArgs: readonly string[];
  /** The daemon's own look at it: cli/main.ts alone knows where that is. */
  preview(request: PlanRequest): Promise<PlanView>;
}

/** Columns of a terminal whose width is not known. */
const usualColumns = 80;

export async function plan(
  context: CommandContext,
  { compose: isComposed, renew = false }: Pick<UpFlags, "compose" | "renew">,
  { composeArgs, preview }: PlanInput,
): Promise<number> {
  const { env, output } = context;
  const project = await projectOf(context);
  if (project.loaded?.kind === "invalid") throw new InvalidConfig(project.loaded.diagnostics);
  const compose =
    isComposed && project.composeFiles.length > 0
      ? await composeIntent({ project, compose: await requireCompose(env), composeArgs, env: onEngine(project, env) })
      : null;
  const view = await preview({ options: daemonOptions(project, env), compose, renews: renew }).catch(
    (error: unknown) => {
      throw isRefused(error) ? new InvalidConfig(error.diagnostics) : error;
    },
  );
  if (output.isJson) {
    output.data(JSON.stringify(view, null, 2));
    return 0;
  }
  for (const warning of view.diagnostics) output.diagnostic(warning);
  const width = Math.min(process.stdout.columns ?? usualColumns, 120);
  output.data(planLines(view, { width, paint: output.dataPaint }).join("\n"));
  return 0;
}

/** Compose's hashes hold the images of the engine that the mesh is on. */
function onEngine(project: Project, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return envOnEngine(env, readOptions(pathsOf(project, env).options));
}

/** What compile found in mesh.yaml once it was held against the containers. */
function isRefused(error: unknown): error is Pick<InvalidConfig, "diagnostics"> {
  return error instanceof Error && "diagnostics" in error && Array.isArray(error.diagnostics);
}
