// `devmesh demo`: the sample shop under the mesh. On a terminal the live screen; elsewhere a tour that measures and prints.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../../daemon/api/problem.ts";
import { requireDaemon } from "../daemon-process.ts";
import type { CommandContext } from "./context.ts";
import { projectOf } from "./context.ts";
import { tour } from "./tour.ts";
import { up } from "./up.ts";

/** Seconds for the shop and its sidecars to be ready. */
const timeoutSeconds = 120;

export async function demo(context: CommandContext): Promise<number> {
  const folder = shopFolder();
  const env = { ...shopImages(), ...context.env };
  const shop: CommandContext = {
    ...context,
    cwd: folder,
    env,
    flags: { ...context.flags, file: join(folder, "mesh.yaml") },
  };
  const isTour = !context.output.isInteractive;
  const code = await up(shop, { detach: isTour, timeout: timeoutSeconds, compose: true, tui: true }, []);
  if (code !== 0 || !isTour) return code;
  const project = await projectOf(shop);
  const client = await requireDaemon(project, env);
  await tour({ output: context.output, env, client, project });
  const here = `-f ${join(folder, "mesh.yaml")}`;
  context.output.note(
    `\nThe shop goes on: http://127.0.0.1:8080. See it: devmesh ${here} status. Stop it: devmesh ${here} down`,
  );
  return 0;
}

function shopFolder(): string {
  const folder = join(import.meta.dirname, "..", "compose");
  for (const candidate of [folder, join(import.meta.dirname, "..", "..", "compose")]) {
    if (existsSync(join(candidate, "shop.yaml"))) return candidate;
  }
  throw new Problem("DM0001", "this devmesh came without its sample shop", "run the demo from a clone: npm run demo");
}

/** Which images the shop runs, as the set-up built them. */
function shopImages(): Record<string, string> {
  for (const folder of [import.meta.dirname, join(import.meta.dirname, "..", "..", "dist")]) {
    const file = join(folder, "images.json");
    if (!existsSync(file)) continue;
    const images = JSON.parse(readFileSync(file, "utf8")) as Record<string, string>;
    return {
      ...(images.shop === undefined ? {} : { DEVMESH_SHOP_IMAGE: images.shop }),
      ...(images.redis === undefined ? {} : { DEVMESH_REDIS_IMAGE: images.redis }),
    };
  }
  return {};
}
