// What callers see while containers of a service are killed, stopped, restarted, replaced, frozen and cut off.
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, firstSuccessAfter, isSuccess, Load, type Sent } from "../support/load.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
const service = (name: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name} }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]${more}`;

const state: { project: MeshProject | null; events: DockerEvents | null } = { project: null, events: null };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");
const events = (): DockerEvents => state.events ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  const port = await unusedPort();
  state.project = new MeshProject({
    name: "faults",
    compose: `services:${["client", "api", "solo", "held", "other"].map((name) => service(name)).join("")}\n`,
    mesh: `
name: ${`faults${process.pid}`}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  solo: { port: 8080 }
  held: { port: 8080, waitForEndpoints: 15s }
  other: { port: 8080 }
gateway:
  - { listen: ${port}, to: api }
`,
  });
  await project().up("--", "--scale", "api=2", "--scale", "other=0");
  state.events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
});

afterAll(async () => {
  await state.events?.[Symbol.asyncDispose]();
  await state.project?.close();
});

async function load(name: string, more = "?ms=10"): Promise<Load> {
  const client = await project().container("client");
  return await Load.inContainer(client, { url: `http://${name}:8080/${more}`, rate: 60, timeoutMs: 20_000 });
}

interface Outcome {
  readonly api: readonly Sent[];
  readonly solo: readonly Sent[];
  readonly held: readonly Sent[];
}

/** Steady load on the three services while `work` runs, and until each has answered again for a while. */
async function underLoad(work: () => Promise<void>): Promise<Outcome> {
  const loads = await Promise.all([load("api"), load("solo"), load("held")]);
  try {
    await Promise.all(loads.map((one) => one.successes(30)));
    await work();
    await Promise.all(loads.map((one) => one.successes(60)));
  } finally {
    await Promise.all(loads.map((one) => one.stop()));
  }
  const [api = [], solo = [], held = []] = loads.map((one) => one.sent);
  return { api, solo, held };
}

const docker = (...args: string[]): Promise<string> => project().docker(...args);
const actions: readonly [string, (id: string) => Promise<unknown>][] = [
  ["docker restart", (id) => docker("restart", "-t", "2", id)],
  ["docker kill, then start", async (id) => docker("kill", id).then(() => docker("start", id))],
  ["docker stop, then start", async (id) => docker("stop", "-t", "2", id).then(() => docker("start", id))],
];

test.for(actions)("%s costs only what was written to the container that ended", async ([name, act]) => {
  const [api, solo, held] = await Promise.all(["api", "solo", "held"].map((one) => project().container(one)));
  const ids = { api: api ?? "", solo: solo ?? "", held: held ?? "" };
  const since = Date.now();
  const sent = await underLoad(async () => {
    await Promise.all(Object.values(ids).map(act));
  });
  for (const key of ["api", "solo", "held"] as const) {
    const die = await events().at(ids[key], "die", since);
    const start = await events().at(ids[key], "start", die);
    const first = firstSuccessAfter(sent[key], start);
    console.log(
      `${name} of ${key}: down ${Math.round(start - die)} ms, first success ${Math.round(first ?? -1)} ms after start: ${describeLoad(sent[key])}`,
    );
    for (const one of failures(sent[key]).slice(0, 400)) {
      console.log(`   ${Math.round(one.start - die)}..${Math.round(one.end - die)} (start ${Math.round(start - die)}) ${one.status} ${one.flags} ${one.reason}`);
    }
    expect(sent[key].filter((one) => isSuccess(one) && one.name !== key)).toEqual([]);
  }
});
