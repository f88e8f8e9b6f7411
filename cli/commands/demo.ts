// `devmesh demo`: the sample shop under the mesh. On a terminal the live screen; elsewhere a tour that measures and prints.
import { join } from "node:path";
import { requireDaemon } from "../daemon-process.ts";
import { chooseShop } from "../demo-shop.ts";
import { imageNames, recipeOf } from "../image/recipe.ts";
import { Steps } from "../output.ts";
import { type CommandContext, commandOf, projectOf } from "./context.ts";
import { buildMissing } from "./image.ts";
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
  await buildShop(shop);
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

/** A clone's set-up has built them; an installed devmesh does it for the first demo. */
async function buildShop({ output, env }: CommandContext): Promise<void> {
  const isOwn = env.DEVMESH_SHOP_IMAGE === recipeOf("shop").tag;
  if (isOwn) await buildMissing({ output, env, steps: new Steps(output), base: null }, imageNames);
}
