// What callers see while containers of a service are killed, stopped, restarted, replaced, frozen and cut off.
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, firstSuccessAfter, isSuccess, Load, type Sent } from "../support/load.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

/** From Docker's `start` event to the first answer of a service with one container. */
const backWithinMs = 1500;
/** From Docker's `die` event to the moment from which no caller's proxy writes to that container any more. */
const learntWithinMs = 500;
/** What npm test allows a bar to be missed by. */
const slack = 3;
const requestsASecond = 25;

const apps = path.resolve(import.meta.dirname, "../support/apps");
const service = (name: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name} }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]${more}`;
/** Ends right after each start, and Docker starts it again. */
const looper = service("looper", '\n    restart: always\n    profiles: ["loop"]').replace(
  '"/apps/echo.ts"',
  '"-e", "setTimeout(() => process.exit(1), 200)"',
);

const state: { project: MeshProject | null; events: DockerEvents | null; port: number } = {
  project: null,
  events: null,
  port: 0,
};
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");
const events = (): DockerEvents => state.events ?? expect.unreachable("the project is not up");
const docker = (...args: string[]): Promise<string> => project().docker(...args);

beforeAll(async () => {
  state.port = await unusedPort();
  state.project = new MeshProject({
    name: "faults",
    compose: `services:${["client", "api", "solo", "held", "other"].map((name) => service(name)).join("")}${looper}\n`,
    mesh: `
name: faults${process.pid}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  solo: { port: 8080 }
  held: { port: 8080, waitForEndpoints: 15s }
  other: { port: 8080 }
  looper: { port: 8080 }
gateway:
  - { listen: ${state.port}, to: api }
`,
  });
  await project().up("--", "--scale", "api=2", "--scale", "other=0");
  state.events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
});

afterAll(async () => {
  await state.events?.[Symbol.asyncDispose]();
  await state.project?.close();
});

const names = ["api", "solo", "held", "gateway"] as const;
type Name = (typeof names)[number];
type Outcome = Readonly<Record<Name, readonly Sent[]>>;

async function openLoad(name: Name): Promise<Load> {
  const options = { rate: requestsASecond, timeoutMs: 25_000 };
  if (name === "gateway") return await Load.onHost({ ...options, url: `http://127.0.0.1:${state.port}/?ms=10` });
  return await Load.inContainer(await project().container("client"), { ...options, url: `http://${name}:8080/?ms=10` });
}

/** Steady load on the services while `work` runs, and until each has answered again for a second. */
async function underLoad(work: () => Promise<unknown>): Promise<Outcome> {
  const loads = await Promise.all(names.map(openLoad));
  try {
    await Promise.all(loads.map((load) => load.successes(requestsASecond / 2)));
    await work();
    await Promise.all(loads.map((load) => load.successes(requestsASecond)));
  } finally {
    await Promise.all(loads.map((load) => load.stop()));
  }
  const sent = Object.fromEntries(names.map((name, i) => [name, loads[i]?.sent ?? []])) as Record<Name, Sent[]>;
  for (const name of names) {
    const wrong = sent[name].filter((one) => isSuccess(one) && one.name !== (name === "gateway" ? "api" : name));
    expect(wrong, `${name} was answered by another service`).toEqual([]);
  }
  return sent;
}

/** A request that its container took with it when it ended, before its caller's proxy had learnt of that. */
function wentDown(one: Sent, container: string, dieMs: number): boolean {
  const isOfIt = one.status === 503 && ["UC", "UF", "URX"].includes(one.flags) && one.reason.includes(container);
  return isOfIt && one.start <= dieMs + learntWithinMs * slack;
}

interface Downtime {
  readonly container: string;
  readonly dieMs: number;
  readonly startMs: number;
}

/** Prints what happened and holds it to what issue 3 section 9.5 allows. */
function judge(what: string, sent: readonly Sent[], { container, dieMs, startMs }: Downtime, mode: Name): void {
  const back = firstSuccessAfter(sent, startMs) ?? Number.POSITIVE_INFINITY;
  const answered = mode === "solo" || mode === "held" ? `, answered ${Math.round(back)} ms after start` : "";
  console.log(`${what}, ${mode}: away ${Math.round(startMs - dieMs)} ms${answered}: ${describeLoad(sent)}`);
  const others = failures(sent).filter((one) => !wentDown(one, container, dieMs));
  const isMissing = (one: Sent): boolean => one.flags === "UH" && one.reason !== "" && one.start >= dieMs - 10_000;
  expect(others.filter((one) => mode !== "solo" || !isMissing(one))).toEqual([]);
  if (mode !== "solo" && mode !== "held") return;
  expect(back).toBeLessThan(backWithinMs * slack);
  expect(others.filter((one) => one.start > startMs + backWithinMs * slack)).toEqual([]);
}

async function nameOf(id: string): Promise<string> {
  return (await docker("inspect", "-f", "{{.Name}}", id)).replace("/", "");
}

async function restarted(ids: readonly string[], since: number): Promise<readonly Downtime[]> {
  return await Promise.all(
    ids.map(async (id) => {
      const dieMs = await events().at(id, "die", since);
      return { container: await nameOf(id), dieMs, startMs: await events().at(id, "start", dieMs) };
    }),
  );
}

const actions: readonly [string, (id: string) => Promise<unknown>][] = [
  ["docker restart", (id) => docker("restart", "-t", "2", id)],
  ["docker kill and start", (id) => docker("kill", id).then(() => docker("start", id))],
  ["docker stop and start", (id) => docker("stop", "-t", "2", id).then(() => docker("start", id))],
];

test.for(actions)("%s costs only what was written to the container that ended", async ([what, act]) => {
  const ids = await Promise.all(["api", "solo", "held"].map((name) => project().container(name)));
  const since = Date.now();
  // One after the other, as people do it: the bar is for a container, not for three that start at once.
  const sent = await underLoad(async () => {
    for (const id of ids) await act(id);
  });
  const [api, solo, held] = await restarted(ids, since);
  if (api === undefined || solo === undefined || held === undefined) return expect.unreachable();
  judge(what, sent.api, api, "api");
  judge(what, sent.gateway, api, "gateway");
  judge(what, sent.solo, solo, "solo");
  judge(what, sent.held, held, "held");
});

test("a recreated container is followed to its new id and address", async () => {
  const before = await Promise.all(["solo", "held"].map((name) => project().container(name)));
  const old = await Promise.all(before.map(nameOf));
  const since = Date.now();
  const sent = await underLoad(() =>
    project().compose("up", "-d", "-t", "2", "--force-recreate", "--no-deps", "--scale", "api=2", "solo", "held"),
  );
  for (const [i, mode] of (["solo", "held"] as const).entries()) {
    const id = await project().container(mode);
    expect(id).not.toBe(before[i]);
    const dieMs = await events().at(before[i] ?? "", "die", since);
    const startMs = await events().at(id, "start", dieMs);
    judge("recreate", sent[mode], { container: old[i] ?? "", dieMs, startMs }, mode);
  }
  expect(failures(sent.api)).toEqual([]);
});

test("scaling to three and back to two under load fails nothing", async () => {
  const scale = (count: number) =>
    project().compose("up", "-d", "-t", "5", "--no-deps", "--no-recreate", "--scale", `api=${count}`, "api");
  const sent = await underLoad(async () => {
    await scale(3);
    const third = (await project().container("api", 3)).slice(0, 12);
    const load = await openLoad("api");
    await eventually(() => {
      if (!load.sent.some((one) => one.host === third)) throw new Error("the third replica has answered nothing");
    }, 15_000).finally(() => load.stop());
    await scale(2);
  });
  console.log(`scale 2, 3, 2: ${describeLoad(sent.api)}`);
  for (const name of names) expect(failures(sent[name]), name).toEqual([]);
});

test("an address that another service takes over at once never leads to it", async () => {
  const network = `zz_devmesh_faults${process.pid}`;
  const addressOf = async (id: string): Promise<string> =>
    await docker("inspect", "-f", `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, id);
  const solo = await project().container("solo");
  const before = await addressOf(solo);
  const sent = await underLoad(async () => {
    await docker("kill", solo);
    await project().compose("up", "-d", "--no-deps", "--scale", "other=1", "other");
    const other = await project().container("other");
    await eventually(async () => expect(await addressOf(other)).not.toBe(""));
    console.log(`solo had ${before}, other has ${await addressOf(other)}`);
    await docker("start", solo);
  });
  console.log(`address reuse, solo: ${describeLoad(sent.solo)}`);
  expect(failures(sent.held)).toEqual([]);
  await project().compose("rm", "-s", "-f", "other");
});

test("a killed sidecar is back within a second, and nothing passes its container meanwhile", async () => {
  const [client, solo] = await Promise.all([project().container("client"), project().container("solo")]);
  const sidecar = await project().sidecar("solo");
  await using engine = new DockerEvents(`container=${sidecar}`);
  const ip = await docker(
    "inspect",
    "-f",
    `{{(index .NetworkSettings.Networks "${project().name}_default").IPAddress}}`,
    solo,
  );
  const outside = await docker(
    ..."run -d --rm --entrypoint node".split(" "),
    ...["--network", `${project().name}_default`, "-v", `${apps}:/apps:ro`, project().env.DEVMESH_SHOP_IMAGE ?? ""],
    ...["-e", "setTimeout(() => 0, 1e9)"],
  );
  try {
    const plain = await Load.inContainer(outside, { url: `http://${ip}:8080/`, rate: 200, timeoutMs: 1000 });
    const load = await Load.inContainer(client, { url: "http://solo:8080/", rate: requestsASecond });
    await load.successes(20);
    const since = Date.now();
    await docker("kill", sidecar);
    const dieMs = await engine.at(sidecar, "die", since);
    await load.successes(20);
    const sent = await load.stop();
    const leaked = (await plain.stop()).filter(({ status }) => status !== 0 && status !== 403);
    const back = firstSuccessAfter(sent, dieMs + 1) ?? Number.POSITIVE_INFINITY;
    console.log(
      `sidecar killed: answers ${Math.round(back)} ms after its end: ${describeLoad(sent)}; leaked ${leaked.length}`,
    );
    expect(leaked).toEqual([]);
    expect(await project().sidecar("solo")).toBe(sidecar);
    expect(back).toBeLessThan(1000 * slack);
  } finally {
    await docker("rm", "-f", outside);
  }
});

test("a container that somebody pauses is left alone, and serves again when it is unpaused", async () => {
  const [api, solo] = await Promise.all([project().container("api"), project().container("solo")]);
  const [apiName, soloName] = await Promise.all([nameOf(api), nameOf(solo)]);
  let pausedMs = 0;
  let unpausedMs = 0;
  const sent = await underLoad(async () => {
    await docker("pause", api, solo);
    pausedMs = Date.now();
    await new Promise((resolve) => setTimeout(resolve, 2000));
    unpausedMs = Date.now();
    await docker("unpause", api, solo);
  });
  console.log(`pause, api: ${describeLoad(sent.api)}`);
  console.log(`pause, solo: answered ${firstSuccessAfter(sent.solo, unpausedMs)} ms after: ${describeLoad(sent.solo)}`);
  // What it had when it froze it answers when it thaws; nothing new goes to it meanwhile.
  expect(failures(sent.api)).toEqual([]);
  expect(failures(sent.solo).filter(({ flags }) => flags !== "UH")).toEqual([]);
  const late = (one: Sent): boolean => one.start > pausedMs + learntWithinMs * slack && one.start < unpausedMs;
  expect(sent.api.filter((one) => late(one) && one.host === api.slice(0, 12))).toEqual([]);
  expect([apiName, soloName].every((name) => name !== "")).toBe(true);
});

test("a container that is cut off the mesh's network is connected again", async () => {
  const network = `zz_devmesh_faults${process.pid}`;
  const solo = await project().container("solo");
  let cutMs = 0;
  const sent = await underLoad(async () => {
    await docker("network", "disconnect", network, solo);
    cutMs = Date.now();
  });
  const back = firstSuccessAfter(sent.solo, cutMs) ?? Number.POSITIVE_INFINITY;
  console.log(`disconnect, solo: answers ${back} ms after: ${describeLoad(sent.solo)}`);
  expect(back).toBeLessThan(backWithinMs * slack);
  expect(failures(sent.solo).filter(({ flags }) => !["UH", "UC", "UF"].includes(flags))).toEqual([]);
  for (const name of ["api", "held", "gateway"] as const) expect(failures(sent[name]), name).toEqual([]);
});

test("a container in a restart loop disturbs nobody and leaves nothing behind", async () => {
  const sent = await underLoad(async () => {
    await project().compose("--profile", "loop", "up", "-d", "--no-deps", "looper");
    const id = await project().container("looper");
    await eventually(async () => {
      const starts = events().seen.filter((event) => event.id === id && event.action === "start").length;
      if (starts < 4) throw new Error(`started ${starts} times`);
    }, 30_000);
    const view = await project().status();
    expect(view.services.find(({ name }) => name === "looper")?.workloads.length).toBe(1);
    await docker("rm", "-f", id);
  });
  console.log(`restart loop: ${names.map((name) => `${name} ${describeLoad(sent[name])}`).join("; ")}`);
  for (const name of names) expect(failures(sent[name]), name).toEqual([]);
  await eventually(async () => {
    const left = await docker("ps", "-aq", "--filter", `name=devmesh-${project().name}_looper`);
    expect(left).toBe("");
  });
});
