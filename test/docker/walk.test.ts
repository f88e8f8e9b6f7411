// An up that is interrupted by kill -9 after each of its calls to Docker ends, run again, in the same state.
import path from "node:path";
import { expect, test } from "vitest";
import { meshState, walkKills } from "../support/kill-walk.ts";
import { MeshProject, type Result } from "../support/mesh-project.ts";
import { TroubledEngine } from "../support/troubled-engine.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");

test("up is killed after each call that changes something, and the next up ends in the same state", async () => {
  await using door = await TroubledEngine.start();
  await using project = new MeshProject({
    name: "walk",
    compose: `services:
  solo:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
`,
    mesh: `name: walk${process.pid}\nmtls: strict\nservices:\n  solo: { port: 8080 }\n`,
    env: { DOCKER_HOST: door.url },
  });
  await project.compose("up", "-d");
  const act = (): Promise<Result> => project.cli("up", "-d", "--no-compose");
  const kills = await walkKills({
    ...{ project, door, act },
    reset: async () => void (await project.down("--no-compose")),
    look: () => meshState(project, ["solo"]),
  });
  console.log(
    `killed after ${kills.length} calls: ${kills.map((call) => `${call.method} ${call.path.slice(0, 40)}`).join(", ")}`,
  );
  // At the least: the network, the connection to it, the sidecar and its start, the control channel.
  expect(kills.length).toBeGreaterThanOrEqual(5);
}, 300_000);
