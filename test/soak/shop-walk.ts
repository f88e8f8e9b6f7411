// The sample shop's `up` and `down`, each killed after every one of its calls to Docker; see ../support/kill-walk.ts.
import { meshState, walkKills } from "../support/kill-walk.ts";
import type { MeshProject, Result } from "../support/mesh-project.ts";
import { createMeshShop } from "../support/mesh-shop.ts";
import { TroubledEngine } from "../support/troubled-engine.ts";

/** A line of progress: each kill takes some seconds. */
const everyKills = 10;
const services = ["website", "cart", "payment-v1", "payment-v2", "redis", "shopper"];

/** What was wrong, in sentences; nothing, when every kill ended in the same state. */
export async function walkShop(print: (text: string) => void): Promise<readonly string[]> {
  await using door = await TroubledEngine.start();
  const { project } = await createMeshShop({ name: "shopwalk" });
  await using _ = project;
  project.env.DOCKER_HOST = door.url;
  await project.compose("up", "-d");
  const look = (): Promise<unknown> => meshState(project, services);
  const up = (): Promise<Result> => project.cli("up", "-d", "--no-compose");
  const down = (): Promise<Result> => project.cli("down", "--no-compose");
  const progress = (what: string) => (nth: number) => {
    if (nth % everyKills === 0) print(`${what}: kill ${nth}`);
  };
  try {
    const ups = await walkKills({
      project,
      door,
      look,
      act: up,
      onKill: progress("up"),
      reset: () => mustEndWell(project, "down"),
    });
    print(`the shop's up ended in the same state after each of ${ups.length} kills`);
    const downs = await walkKills({
      project,
      door,
      look,
      act: down,
      onKill: progress("down"),
      reset: () => mustEndWell(project, "up", "-d"),
    });
    print(`the shop's down ended in the same state after each of ${downs.length} kills`);
    return [];
  } catch (error) {
    return [`the walk of the shop: ${error instanceof Error ? error.message : error}`];
  }
}

async function mustEndWell(project: MeshProject, ...command: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await project.cli(...command, "--no-compose");
  if (code !== 0) throw new Error(`${command.join(" ")} exited with ${code}: ${stdout}${stderr}`);
}
