// Thirty containers that start at once: each gets its sidecar, none stays frozen, and who was there before does not notice.
import { afterAll, beforeAll, expect, test } from "vitest";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, Load } from "../support/load.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { echoService } from "../support/refused.ts";

const size = 30;
const readyWithinMs = 120_000;
const mesh = `crowd${process.pid}`;
const state = { project: null as MeshProject | null };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  const crowd = `
  crowd:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["sleep", "3600"]
    init: true
    stop_grace_period: 1s
`;
  state.project = new MeshProject({
    name: "crowd",
    compose: `services:${echoService("client")}${echoService("api")}${crowd}`,
    mesh: `name: ${mesh}\nmtls: strict\nservices: { client: { port: 8080 }, api: { port: 8080 } }\n`,
  });
  await project().up("--", "--scale", "crowd=0", "--scale", "api=2");
});

afterAll(async () => {
  await state.project?.close();
});

test(`${size} containers that start at once are all meshed, and none is left frozen`, async () => {
  await using events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
  const client = await project().container("client");
  await using load = await Load.inContainer(client, { url: "http://api:8080/?ms=10", rate: 25 });
  await load.successes(25);
  const startedAt = performance.now();
  await project().compose("up", "-d", "--no-deps", "--no-recreate", "--scale", `crowd=${size}`, "crowd");
  const composeMs = performance.now() - startedAt;
  const view = await eventually(
    async () => {
      const now = await project().status();
      const crowd = now.services.find(({ name }) => name === "crowd")?.workloads ?? [];
      expect(crowd.filter(({ sidecar, isSynced }) => sidecar === "ready" && isSynced)).toHaveLength(size);
      return now;
    },
    readyWithinMs,
    500,
  );
  const allMs = performance.now() - startedAt;
  const of = (action: string) =>
    new Map(events.seen.filter((one) => one.action === action).map((one) => [one.id, one.atMs]));
  const [started, paused, unpaused] = [of("start"), of("pause"), of("unpause")];
  const frozen = [...paused]
    .map(([id, atMs]) => (unpaused.get(id) ?? Number.POSITIVE_INFINITY) - atMs)
    .sort((a, b) => a - b);
  const [median, longest] = [frozen[Math.floor(frozen.length / 2)] ?? 0, frozen.at(-1) ?? 0];
  console.log(`compose took ${Math.round(composeMs)} ms, all ready and in sync after ${Math.round(allMs)} ms`);
  console.log(
    `${started.size} started, ${paused.size} held, for ${Math.round(median)} ms in the middle, ${Math.round(longest)} ms at most`,
  );
  const log = (await project().cli("logs", "daemon")).stdout.split("\n");
  for (const what of ["was not ready in time", "could not be held", "failed, tried again"]) {
    const lines = log.filter((line) => line.includes(what));
    console.log(`"${what}": ${lines.length} times${lines.length > 0 ? `, the last: ${lines.at(-1)}` : ""}`);
  }
  console.log(`beside them: ${describeLoad(load.sent)}`);
  expect(view.health).toBe("ok");
  expect(longest).toBeLessThan(Number.POSITIVE_INFINITY);
  const filter = `label=com.docker.compose.project=${project().name}`;
  expect(await project().docker("ps", "-q", "--filter", "status=paused", "--filter", filter)).toBe("");
  const sidecars = await project().docker(
    "ps",
    "-q",
    "--filter",
    `label=dev.devmesh.mesh=${mesh}`,
    "--filter",
    "label=dev.devmesh.kind=sidecar",
  );
  expect(sidecars.split("\n")).toHaveLength(size + 3);
  // What they are for: a call by name arrives with its caller's identity.
  const call = `fetch("http://api:8080/").then(async (r) => console.log(r.status, (await r.json()).name))`;
  for (const number of [1, size / 2, size]) expect(await project().evaluate("crowd", call, number)).toBe("200 api");
  expect(failures(load.sent)).toEqual([]);
});
