// How soon traffic flows again after the one container of a service restarts, and a new daemon governs after kill -9.
import { setTimeout as delay } from "node:timers/promises";
import { DockerEvents } from "../../support/docker-events.ts";
import { type Edit, effectTimes, waitForEffect } from "../../support/edits.ts";
import { firstSuccessAfter, Load } from "../../support/load.ts";
import type { MeshProject } from "../../support/mesh-project.ts";
import { createReloadProject, type ReloadProject } from "../../support/reload-project.ts";
import type { BenchCase } from "../measure.ts";

export const recover: BenchCase = {
  name: "recover",
  about: "restart of a service's only container; kill -9 of the daemon and the next command",
  rounds: 3,
  run: async (rounds, say) => {
    const reloaded = await createReloadProject("benchrc");
    const { project, meshText } = reloaded;
    try {
      project.write("mesh.yaml", meshText([100, 0]));
      await project.up();
      const container: number[] = [];
      const daemon: number[] = [];
      for (let round = 0; round < rounds; round++) {
        container.push(await restartContainer(project));
        daemon.push(await replaceDaemon(reloaded, round));
        say(`round ${round + 1}: container ${container.at(-1)} ms, daemon ${daemon.at(-1)} ms`);
      }
      return [
        { what: "restart: start event to first success", unit: "ms", values: container, bar: 1_500 },
        { what: "kill -9: command to edit in effect", unit: "ms", values: daemon, bar: 5_000 },
      ];
    } finally {
      await project.close();
    }
  },
};

async function restartContainer(project: MeshProject): Promise<number> {
  const [client, other] = await Promise.all([project.container("client"), project.container("other")]);
  await using events = new DockerEvents(`label=com.docker.compose.project=${project.name}`);
  await using load = await Load.inContainer(client, { url: "http://other:8080/", rate: 200 });
  await load.successes(50);
  const since = Date.now();
  await project.docker("restart", "-t", "1", other);
  const startedAt = await events.at(other, "start", await events.at(other, "die", since));
  await load.successes(50);
  return Math.round(firstSuccessAfter(load.sent, startedAt) ?? Number.POSITIVE_INFINITY);
}

/** From the command that brings a new daemon until an edit that was saved while there was none is in effect. */
async function replaceDaemon({ project, meshText }: ReloadProject, round: number): Promise<number> {
  await using load = await Load.inContainer(await project.container("client"), {
    url: "http://payment:8080/",
    rate: 100,
  });
  process.kill((await project.status()).pid, "SIGKILL");
  const isEven = round % 2 === 0;
  project.write("mesh.yaml", meshText(isEven ? [0, 100] : [100, 0]));
  // Long enough to see that nobody applies it.
  await delay(200);
  const edit: Edit = { savedAt: Date.now(), name: isEven ? "payment-v2" : "payment-v1" };
  await Promise.all([project.status(), waitForEffect([load], edit)]);
  return effectTimes(await load.stop(), [edit])[0] ?? Number.POSITIVE_INFINITY;
}
