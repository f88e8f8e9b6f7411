// `devmesh metrics`: what Prometheus would scrape.
import { requireDaemon } from "../daemon-process.ts";
import { type CommandContext, projectOfMesh } from "./context.ts";

export async function metrics(context: CommandContext): Promise<number> {
  const client = await requireDaemon(await projectOfMesh(context), context.env);
  context.output.data((await client.metrics()).trimEnd());
  return 0;
}
