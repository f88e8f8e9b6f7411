// What every command gets: where it runs, what the global flags say, where its output goes.
import type { Output } from "../output.ts";
import { type Project, resolveMeshProject, resolveProject } from "../project.ts";

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

/** What to type for another command on the same mesh. */
export function commandOf({ flags }: CommandContext): string {
  const quoted = (text: string) => (/^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  const file = flags.file === undefined ? "" : ` -f ${quoted(flags.file)}`;
  return `devmesh${file}${flags.project === undefined ? "" : ` -p ${quoted(flags.project)}`}`;
}

/** For commands on a mesh that is up: what has become of its files since does not keep it from being seen or stopped. */
export async function projectOfMesh({ cwd, env, flags }: CommandContext): Promise<Project> {
  return await resolveMeshProject({ cwd, env, file: flags.file, name: flags.project });
}
