// `devmesh logs`: applications, sidecars and the daemon in one stream.
import { once } from "node:events";
import type { LogLine } from "../../daemon/api/messages.ts";
import { exitCodes } from "../../daemon/api/problem.ts";
import { requireDaemon } from "../daemon-process.ts";
import { printable } from "../screen/table.ts";
import { type CommandContext, projectOfMesh } from "./context.ts";

export interface LogsFlags {
  readonly follow?: boolean;
  readonly tail?: number;
  readonly since?: string;
}

export async function logs(context: CommandContext, service: string | undefined, flags: LogsFlags): Promise<number> {
  const { output, env } = context;
  const client = await requireDaemon(await projectOfMesh(context), env);
  const stop = new AbortController();
  void once(process, "SIGINT").then(() => stop.abort());
  const query = { isFollowed: flags.follow === true, tail: flags.tail ?? null, since: flags.since ?? null };
  for await (const line of client.logs({ service: service ?? null, ...query }, stop.signal)) {
    if (output.isJson) output.data(JSON.stringify(line));
    else output.data(`${output.dataPaint.cyan(prefix(line))} ${printable(line.text.replaceAll("\t", "    "))}`);
  }
  return stop.signal.aborted ? exitCodes.interrupted : exitCodes.ok;
}

function prefix({ container, service, source }: LogLine): string {
  return `${source === "app" ? container : `${service || "mesh"} ${source}`} |`;
}
