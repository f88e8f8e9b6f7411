// What every command gets: where it runs, what the global flags say, where its output goes.
import { basename, isAbsolute, relative } from "node:path";
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

/** What to type, where the user stands, for another command on the same mesh. */
export function commandOf({ flags }: Pick<CommandContext, "flags">): string {
  const file = flags.file === undefined ? [] : ["-f", fromHere(flags.file)];
  const project = flags.project === undefined ? [] : ["-p", flags.project];
  return [...program(), ...file, ...project].map(quoted).join(" ");
}

/** A clone has no `devmesh` on the PATH, and the Node on it may be too old. */
function program(): string[] {
  const script = process.argv[1] ?? "devmesh";
  return basename(script) === "devmesh" ? ["devmesh"] : [fromHere(process.execPath), fromHere(script)];
}

function fromHere(path: string): string {
  const below = relative(process.cwd(), path);
  return !isAbsolute(path) || below.startsWith("..") ? path : below;
}

function quoted(text: string): string {
  return /^[\w./:@-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** For commands on a mesh that is up: what has become of its files since does not keep it from being seen or stopped. */
export async function projectOfMesh({ cwd, env, flags }: CommandContext): Promise<Project> {
  return await resolveMeshProject({ cwd, env, file: flags.file, name: flags.project });
}
