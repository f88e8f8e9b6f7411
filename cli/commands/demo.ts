// `devmesh demo`: the sample shop under the mesh. On a terminal the live screen; elsewhere a tour that measures and prints.
import { join } from "node:path";
import { requireDaemon } from "../daemon-process.ts";
import { chooseShop } from "../demo-shop.ts";
import { type CommandContext, commandOf, projectOf } from "./context.ts";
import { tour } from "./tour.ts";
import { up } from "./up.ts";

/** Seconds for the shop and its sidecars to be ready. */
const timeoutSeconds = 120;

export interface DemoFlags {
  /** Of the shop's gateway; a copy of the shop then runs beside any other. */
  readonly port?: number;
}

export async function demo(context: CommandContext, flags: DemoFlags): Promise<number> {
  const { output } = context;
  const { folder, env, notes } = await chooseShop(context.env, flags.port);
  for (const note of notes) output.note(output.paint.yellow(note));
  const file = join(folder, "mesh.yaml");
  const shop: CommandContext = { ...context, cwd: folder, env, flags: { ...context.flags, file } };
  const isTour = !output.isInteractive;
  const code = await up(shop, { detach: isTour, timeout: timeoutSeconds, compose: true, tui: true }, []);
  if (code !== 0 || !isTour) return code;
  const project = await projectOf(shop);
  const client = await requireDaemon(project, env);
  await tour({ output, env, client, project });
  const url = (await client.status()).gateways[0]?.url ?? "";
  const own = commandOf(shop);
  output.note(`\nThe shop goes on: ${url}. See it: ${own} status. Stop it: ${own} down`);
  return 0;
}
