// `devmesh status` (`ps`): the state of the mesh; not healthy is exit code 7.
import { exitCodes } from "../../daemon/api/problem.ts";
import { requireDaemon } from "../daemon-process.ts";
import type { Line } from "../screen/line.ts";
import { statusLines } from "../screen/status-view.ts";
import { assertNoBypass } from "./check-bypass.ts";
import { type CommandContext, projectOfMesh } from "./context.ts";

/** Without a terminal lines are not cut. */
const plainColumns = 400;

/** What went past the proxies is counted anew for the answer, within this time; else the answer says what is missing. */
const recountMs = 1_500;
/** A check waits longer for a machine that is busy: without all counts it has to fail. */
const checkRecountMs = 10_000;

export interface StatusFlags {
  readonly failOnBypass?: boolean;
}

/** Throws Problem DM0501 or DM0502 after the status is printed, where `--fail-on-bypass` asks for that. */
export async function status(context: CommandContext, flags: StatusFlags): Promise<number> {
  const { output, env } = context;
  const client = await requireDaemon(await projectOfMesh(context), env);
  const isChecked = flags.failOnBypass === true;
  const view = await client.status({ recountMs: isChecked ? checkRecountMs : recountMs });
  if (output.isJson) {
    output.data(JSON.stringify(view, null, 2));
  } else {
    const size = { columns: process.stdout.columns ?? plainColumns, rows: process.stdout.rows ?? 1000 };
    for (const line of statusLines(view, Date.now(), size)) output.data(painted(context, line));
  }
  if (isChecked) assertNoBypass(view.bypass);
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
