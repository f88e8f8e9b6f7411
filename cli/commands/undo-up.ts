// What `up` says and takes back when compose failed: a port that is taken is named, and what this command alone has begun goes again.
import { dirname } from "node:path";
import type { ApiClient } from "../../daemon/api/client.ts";
import type { BlockedPort } from "../../daemon/api/messages.ts";
import { Problem } from "../../daemon/api/problem.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { type ComposeCommand, fileArgs, run } from "../compose.ts";
import { composeEnv, takeDown } from "../daemon-process.ts";
import type { Project } from "../project.ts";

export interface FailedUp {
  readonly project: Project;
  readonly client: ApiClient;
  readonly compose: ComposeCommand;
  readonly env: NodeJS.ProcessEnv;
  /** Before compose: null where the mesh was up already. */
  readonly before: StatusView | null;
}

/** The error to show. Containers that were there before this command are never touched. */
export async function undoUp(up: FailedUp, failure: unknown): Promise<unknown> {
  if (!(failure instanceof Problem)) return failure;
  const { client, before, project, env } = up;
  const view = await client.reload();
  const blocked = await client.blockedPorts();
  const stays = blocked.length === 0 ? failure : portsProblem(blocked, "the mesh stays up: devmesh down stops it");
  if (before === null) return stays;
  if (blocked.length > 0 && containersIn(before).length === 0) await composeDown(up);
  else if (containersIn(view).some(({ state }) => !isEnded(state))) return stays;
  for await (const _ of takeDown(project, env));
  if (blocked.length > 0) return portsProblem(blocked, "the mesh was taken down again, with what compose had started");
  return new Problem(failure.code, failure.message, "its messages are above; the mesh was taken down again");
}

function portsProblem(blocked: readonly BlockedPort[], rest: string): Problem {
  const each = blocked.map(
    ({ service, address, holder }) => `the host port ${address} of service ${service} is in use${holder}`,
  );
  return new Problem(
    "DM0401",
    each.join("; "),
    `stop what has it, or publish another port in the compose file; ${rest}`,
  );
}

/** Volumes stay: they may be older than this command. */
async function composeDown({ compose, project, env }: FailedUp): Promise<void> {
  const { composeFiles, name, folder } = project;
  const args = [...compose.args, "-p", name, ...fileArgs(composeFiles), "down"];
  const cwd = dirname(composeFiles[0] ?? folder);
  const { code, stderr } = await run({ command: compose.command, args, env: composeEnv(project, env), cwd });
  if (code !== 0)
    throw new Problem("DM0404", `${compose.command} down failed with exit code ${code}: ${stderr.trim()}`);
}

function containersIn(view: StatusView): readonly { readonly state: string }[] {
  return view.services.flatMap(({ workloads }) => workloads);
}

function isEnded(state: string): boolean {
  return state.startsWith("exited") || state.startsWith("created") || state.startsWith("dead");
}
