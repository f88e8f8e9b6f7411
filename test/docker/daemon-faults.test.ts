// The daemon is killed, stopped, raced and killed again while it starts: traffic goes on, and the next command mends the rest.
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { daemonsOf } from "../support/daemons.ts";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, isSuccess, Load, type Sent } from "../support/load.ts";
import { MeshProject, type Result } from "../support/mesh-project.ts";

/** From a command to traffic that follows an edit which was made while no daemon worked. */
const inControlWithinMs = 5000;
/** What npm test allows a bar to be missed by. */
const slack = 3;
const stoppedMs = 20_000;
/** A proxy takes a peer for dead after 500 ms of silence and 1 s without an answer; a dial gets as long. */
const silenceMs = 1500;

const apps = path.resolve(import.meta.dirname, "../support/apps");
const service = (name: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name} }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]`;

const meshFor = (version: "v1" | "v2"): string => `
name: daemon${process.pid}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  pay:
    port: 8080
    versions: { v1: { container: pay-v1 }, v2: { container: pay-v2 } }
    split: { v1: ${version === "v1" ? 100 : 0}, v2: ${version === "v2" ? 100 : 0} }
`;

const state: { project: MeshProject | null; version: "v1" | "v2" } = { project: null, version: "v1" };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");
const docker = (...args: string[]): Promise<string> => project().docker(...args);

beforeAll(async () => {
  state.project = new MeshProject({
    name: "daemon",
    compose: `services:${["client", "api", "pay-v1", "pay-v2"].map(service).join("")}\n`,
    mesh: meshFor("v1"),
  });
  await project().up("--", "--scale", "api=2");
});

afterAll(async () => {
  await state.project?.close();
});

/** Moves all of pay's traffic to its other version; the name that will answer. */
function edit(): string {
  state.version = state.version === "v1" ? "v2" : "v1";
  project().write("mesh.yaml", meshFor(state.version));
  return `pay-${state.version}`;
}

async function underLoad(work: (loads: { pay: Load; api: Load }) => Promise<void>): Promise<readonly Sent[]> {
  const client = await project().container("client");
  const open = (name: string) => Load.inContainer(client, { url: `http://${name}:8080/?ms=10`, rate: 60 });
  const [pay, api] = await Promise.all([open("pay"), open("api")]);
  try {
    await work({ pay, api });
    await Promise.all([pay.successes(30), api.successes(30)]);
  } finally {
    await Promise.all([pay.stop(), api.stop()]);
  }
  return [...pay.sent, ...api.sent];
}

/** When the last request was sent that another than `name` answered, once all of the newest were answered by it. */
async function followed(pay: Load, name: string): Promise<number> {
  await eventually(() => {
    const newest = pay.sent.slice(-20).filter(isSuccess);
    if (newest.length < 15 || newest.some((one) => one.name !== name)) throw new Error(`${name} does not answer all`);
  }, inControlWithinMs * slack);
  return Math.max(...pay.sent.filter((one) => one.name !== name).map((one) => one.start));
}

/** Sidecars with what would change if they were made anew or started again. */
async function sidecars(): Promise<string> {
  const labels = [`dev.devmesh.mesh=daemon${process.pid}`, "dev.devmesh.kind=sidecar"];
  const ids = await docker("ps", "-aq", "--no-trunc", ...labels.flatMap((label) => ["--filter", `label=${label}`]));
  const format = "{{.Name}} {{.Id}} {{.State.StartedAt}} {{.RestartCount}}";
  return (await docker("inspect", "-f", format, ...ids.split("\n"))).split("\n").sort().join("\n");
}

/** Any command revives the daemon. 7: it works, and something is still on its way. */
async function command(): Promise<Result> {
  const result = await project().cli("status");
  expect([0, 7], `${result.stdout}${result.stderr}`).toContain(result.code);
  return result;
}

const daemons = (): number[] => daemonsOf(project().name);

async function daemonPid(): Promise<number> {
  return (await project().status()).pid;
}

async function killDaemon(): Promise<number> {
  const pid = await daemonPid();
  process.kill(pid, "SIGKILL");
  await eventually(() => expect(daemons()).toEqual([]));
  return pid;
}

test("kill -9 under load fails nothing, and the next command adopts every proxy and applies the edit", async () => {
  const before = await sidecars();
  let controlMs = 0;
  const sent = await underLoad(async ({ pay }) => {
    await killDaemon();
    await pay.successes(60);
    const name = edit();
    await pay.successes(60);
    expect(pay.sent.slice(-30).every((one) => one.name !== name)).toBe(true);
    const commandMs = Date.now();
    await command();
    controlMs = (await followed(pay, name)) - commandMs;
  });
  console.log(`kill -9: in control ${controlMs} ms after the command: ${describeLoad(sent)}`);
  expect(failures(sent)).toEqual([]);
  expect(controlMs).toBeLessThan(inControlWithinMs * slack);
  expect(await sidecars()).toBe(before);
});

test("stopped for 20 s under load it fails nothing, and a command replaces it though it holds its connections", async () => {
  const before = await sidecars();
  const old = await daemonPid();
  let controlMs = 0;
  const sent = await underLoad(async ({ pay }) => {
    process.kill(old, "SIGSTOP");
    try {
      const name = edit();
      await delay(stoppedMs);
      expect(pay.sent.every((one) => one.name !== name)).toBe(true);
      const commandMs = Date.now();
      await command();
      controlMs = (await followed(pay, name)) - commandMs;
    } finally {
      if (daemons().includes(old)) process.kill(old, "SIGKILL");
    }
  });
  console.log(`stopped 20 s, replaced: in control ${controlMs} ms after the command: ${describeLoad(sent)}`);
  expect(failures(sent)).toEqual([]);
  expect(controlMs).toBeLessThan(inControlWithinMs * slack);
  const running = await daemonPid();
  expect(running).not.toBe(old);
  expect(daemons()).toEqual([running]);
  expect(await sidecars()).toBe(before);
});

test("stopped and continued it catches up by itself with the file and with containers", async () => {
  const pid = await daemonPid();
  const api = await project().container("api");
  const sidecar = await project().sidecar("api");
  let controlMs = 0;
  const sent = await underLoad(async ({ pay, api: load }) => {
    process.kill(pid, "SIGSTOP");
    const name = edit();
    await docker("restart", "-t", "2", api);
    await delay(3000);
    process.kill(pid, "SIGCONT");
    const continuedMs = Date.now();
    controlMs = (await followed(pay, name)) - continuedMs;
    await eventually(() => {
      const newest = load.sent.slice(-30);
      if (!newest.some((one) => one.host === api.slice(0, 12)))
        throw new Error("the restarted replica answers nothing");
    }, 15_000);
  });
  console.log(`stopped 3 s, continued: in control ${controlMs} ms after: ${describeLoad(sent)}`);
  expect(controlMs).toBeLessThan(inControlWithinMs * slack);
  expect(await daemonPid()).toBe(pid);
  expect(await project().sidecar("api")).not.toBe(sidecar);
  // The one that restarts takes its requests with it; nobody could tell the callers.
  const name = (await docker("inspect", "-f", "{{.Name}}", api)).slice(1);
  expect(failures(sent).filter((one) => !one.reason.includes(name))).toEqual([]);
});

test("without a daemon a replica that is killed is found out by silence, and no request waits for it long", async () => {
  const api = await project().container("api");
  await killDaemon();
  let killedMs = 0;
  const sent = await underLoad(async ({ api: load }) => {
    await docker("kill", api);
    killedMs = Date.now();
    await load.successes(240);
  });
  const lost = failures(sent);
  const lastMs = Math.max(0, ...lost.map(({ start }) => start - killedMs));
  console.log(`replica killed without a daemon: last loss sent ${lastMs} ms after its end: ${describeLoad(sent)}`);
  expect(lost.filter(({ flags }) => flags !== "UC" && flags !== "UF")).toEqual([]);
  expect(lastMs).toBeLessThan(silenceMs * slack);
  expect(Math.max(...sent.map(({ start, end }) => end - start))).toBeLessThan(2 * silenceMs * slack);
  await docker("start", api);
  await command();
});

test("a new daemon mends what changed while none ran", async () => {
  await killDaemon();
  const [api, second] = [await project().container("api"), await project().container("api", 2)];
  await docker("restart", "-t", "2", api);
  await docker("rm", "-f", second);
  await project().compose("up", "-d", "--no-deps", "--no-recreate", "--scale", "api=3", "api");
  await eventually(async () => {
    const view = await project().status();
    const workloads = view.services.find(({ name }) => name === "api")?.workloads ?? [];
    expect(workloads.map(({ sidecar }) => sidecar)).toEqual(["ready", "ready", "ready"]);
    expect(view.health).toBe("ok");
  }, 20_000);
  const sent = await underLoad(async ({ api: load }) => {
    await eventually(() => expect(new Set(load.sent.map(({ host }) => host)).size).toBe(3));
  });
  console.log(`mended: ${describeLoad(sent)}`);
  expect(failures(sent)).toEqual([]);
});

test("one that is killed with a container frozen leaves it so only until the next command", async () => {
  const api = await project().container("api");
  await using events = new DockerEvents(`container=${api}`);
  const pid = await daemonPid();
  const since = Date.now();
  const restarting = docker("restart", "-t", "2", api);
  await eventually(
    () => {
      if (!events.seen.some(({ action, atMs }) => action === "pause" && atMs >= since))
        throw new Error("not paused yet");
    },
    15_000,
    2,
  );
  process.kill(pid, "SIGKILL");
  await restarting;
  const isFrozen = (await docker("inspect", "-f", "{{.State.Paused}}", api)) === "true";
  console.log(`killed while it held a container: ${isFrozen ? "frozen" : "running"}`);
  await project().cli("status");
  expect(await docker("inspect", "-f", "{{.State.Paused}}", api)).toBe("false");
  await eventually(async () => expect((await project().status()).health).toBe("ok"), 15_000, 200);
});

test.for([50, 200, 500])("killed %i ms into its start it is followed by one that works", async (ms) => {
  const before = await sidecars();
  const sent = await underLoad(async ({ pay }) => {
    await killDaemon();
    const name = edit();
    const reviving = project().cli("status");
    const [pid] = await eventually(
      () => {
        const found = daemons();
        if (found.length === 0) throw new Error("no daemon has been started");
        return found;
      },
      10_000,
      2,
    );
    await delay(ms);
    if (pid !== undefined && daemons().includes(pid)) process.kill(pid, "SIGKILL");
    const first = await reviving;
    if (first.code !== 0 && first.code !== 7) expect(first.stderr).toMatch(/DM\d{4}/);
    await command();
    await followed(pay, name);
  });
  expect(failures(sent)).toEqual([]);
  expect(await sidecars()).toBe(before);
  expect(daemons()).toHaveLength(1);
});

test("many commands that race to revive it end with one daemon and one answer", async () => {
  await killDaemon();
  const views = await Promise.all(Array.from({ length: 6 }, () => project().status()));
  expect(new Set(views.map(({ pid }) => pid)).size).toBe(1);
  expect(daemons()).toEqual([views[0]?.pid]);
});
