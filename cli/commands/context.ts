// What every command gets: where it runs, what the global flags say, where its output goes.
import type { Output } from "../output.ts";
import { type Project, resolveProject } from "../project.ts";

export interface CommandContext {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly output: Output;
  readonly flags: GlobalFlags;
}

export interface GlobalFlags {
  readonly file?: string;
  readonly project?: string;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly color?: boolean;
}

export async function projectOf({ cwd, env, flags }: CommandContext): Promise<Project> {
  return await resolveProject({ cwd, env, file: flags.file, name: flags.project });
}
