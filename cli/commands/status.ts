// `devmesh status` (`ps`): the state of the mesh; not healthy is exit code 7.
import { exitCodes } from "../../daemon/api/problem.ts";
import { requireDaemon } from "../daemon-process.ts";
import { type Line, statusLines } from "../screen/status-view.ts";
import { type CommandContext, projectOfMesh } from "./context.ts";

/** Without a terminal lines are not cut. */
const plainColumns = 400;

export async function status(context: CommandContext): Promise<number> {
  const { output, env } = context;
  const client = await requireDaemon(await projectOfMesh(context), env);
  const view = await client.status();
  if (output.isJson) {
    output.data(JSON.stringify(view, null, 2));
  } else {
    const size = { columns: process.stdout.columns ?? plainColumns, rows: process.stdout.rows ?? 1000 };
    for (const line of statusLines(view, Date.now(), size)) output.data(painted(context, line));
  }
  return view.health === "ok" ? exitCodes.ok : exitCodes.checkFailed;
}

function painted({ output }: CommandContext, { text, tone }: Line): string {
  const { dataPaint: paint } = output;
  switch (tone) {
    case "plain":
      return text;
    case "title":
      return paint.bold(text);
    case "good":
      return text;
    case "bad":
      return paint.red(text);
    case "warn":
      return paint.yellow(text);
    case "faint":
      return paint.dim(text);
    default:
      return tone satisfies never;
  }
}
