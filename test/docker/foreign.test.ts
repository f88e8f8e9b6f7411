// A project that knows nothing of the mesh, before, under and after it: the same answers, the same reach, the same containers.
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlanView } from "../../daemon/api/plan-view.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { eventually } from "../support/eventually.ts";
import { type ContainerView, ForeignProject, type Reach } from "../support/foreign-project.ts";

/** What only bounds a failure. */
const settleMs = 30_000;
/** The mesh may add this much to the first byte of a server that speaks first; sniffing would add 200. */
const firstByteBarMs = 20;
const slack = 3;
/** Without a mesh it takes half a second. A peer that waits for a handshake that nobody finishes takes five. */
const foundAgainMs = 4_500;

interface Before {
  readonly answers: Readonly<Record<string, string>>;
  readonly reach: Reach;
  readonly views: Readonly<Record<string, ContainerView>>;
  readonly firstByteMs: number;
}

const state: { project: ForeignProject | null; before: Before | null } = { project: null, before: null };
const project = (): ForeignProject => state.project ?? expect.unreachable("the project is not up");
const before = (): Before => state.before ?? expect.unreachable("the project was never well without the mesh");

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  console.log(`foreign: ${what} ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}

/** Of 20 connections, one after the other: milliseconds from the dial to MariaDB's greeting. Waiting would slow the fastest, too. */
async function firstByteMs(): Promise<number> {
  const script = `
const once = () => new Promise((resolve, reject) => { const start = performance.now();
  const s = require("net").connect(3306, "stock").on("error", reject).once("data", () => { resolve(performance.now() - start); s.destroy(); }); });
(async () => { const all = []; for (let i = 0; i < 20; i++) all.push(await once()); console.log(Math.min(...all)); })()`;
  return Number(await project().evaluate("api", script));
}

/** One connection to Redis, by its own client, open and silent in between. */
class IdleRedis implements AsyncDisposable {
  readonly #child: ChildProcessWithoutNullStreams;

  private constructor(container: string) {
    this.#child = spawn("docker", ["exec", "-i", container, "redis-cli", "-h", "cache"]);
    this.#child.stdin.on("error", () => undefined);
  }

  static async open(container: string): Promise<IdleRedis> {
    const client = new IdleRedis(container);
    expect(await client.ask()).toBe("PONG");
    return client;
  }

  async ask(): Promise<string> {
    const said = once(this.#child.stdout, "data", { signal: AbortSignal.timeout(settleMs) });
    this.#child.stdin.write("PING\n");
    return String((await said)[0]).trim();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#child, "close");
    this.#child.stdin.end();
    await closed;
  }
}

/** Docker gives a container that is restarted another free address of its network, and writes the lines in another order. */
function sortedHosts(views: Before["views"]): Readonly<Record<string, object>> {
  const sorted = ({ hosts, hostname, ...rest }: ContainerView) => {
    const lines = hosts.split("\n").map((line) => {
      const [address = "", name] = line.split("\t");
      return name === hostname ? `${address.split(".").slice(0, 2).join(".")} ${name}` : line;
    });
    return { ...rest, hostname, hosts: lines.sort() };
  };
  return Object.fromEntries(Object.entries(views).map(([name, view]) => [name, sorted(view)]));
}

/** All containers as compose left them: healthy, running, or done. */
async function isSettled(): Promise<void> {
  const filter = `label=com.docker.compose.project=${project().name}`;
  const lines = (await project().docker("ps", "-a", "--filter", filter, "--format", "{{.Names}}: {{.Status}}")).split(
    "\n",
  );
  const bad = lines.filter((line) => !/: Up (?!.*(starting|unhealthy))|migrate.*: Exited \(0\)/.test(line));
  expect(bad).toEqual([]);
}

/** The mesh is up and everything of it is ready: what comes after this is measured on a mesh at rest. */
async function isMeshed(): Promise<void> {
  const { health, services, config } = await project().status();
  const workloads = services.flatMap((service) => service.workloads);
  const unready = workloads.filter(
    ({ state: of, sidecar, isSynced }) => of.startsWith("running") && !(sidecar === "ready" && isSynced),
  );
  expect({ health, unready, isInSync: config.isInSync }).toEqual({ health: "ok", unready: [], isInSync: true });
}

async function settledUnderMesh(): Promise<void> {
  await eventually(isSettled, settleMs, 200);
  await eventually(isMeshed, settleMs, 200);
}

beforeAll(async () => {
  state.project = await ForeignProject.create();
  await timed("its own up", () => project().own("up", "-d"));
  await eventually(isSettled, settleMs, 200);
  state.before = {
    answers: await timed("smoke", () => project().smoke()),
    reach: await timed("reach", () => project().reach()),
    views: await project().views(),
    firstByteMs: await firstByteMs(),
  };
});

afterAll(async () => {
  await timed("close", async () => await state.project?.close());
});

test("without the mesh it does what it should, so that there is something to compare with", () => {
  const { answers, reach } = before();
  expect(answers).toMatchObject({
    health: '200 "well"',
    order: '200 {"id":"<id>"}',
    stored: '200 [["tea"]]',
    packed: '200 "<id>"',
    counted: '200 "1"',
    linked: '200 "PONG"',
    greeting: '200 {"greeting":"hello ann","status":"0"}',
    page: "200 a page from an empty image",
    chat: "HELLO THERE",
  });
  expect(reach.api).toMatchObject({ "db:5432": "answers", "queue:5672": "answers", "proxy:80": "answers" });
  expect(reach.chat?.["db:5432"]).not.toBe("answers");
});

interface Covered {
  readonly container: string;
  readonly sidecar: string;
}

/** What plan and status both say: who gets a sidecar, who does not and why, and which ports are there. */
function covered(view: PlanView | StatusView, isIn: (sidecar: string) => boolean): object {
  const { services }: { readonly services: readonly { readonly workloads: readonly Covered[] }[] } = view;
  return {
    sidecars: services
      .flatMap(({ workloads }) => workloads)
      .filter(({ sidecar }) => isIn(sidecar))
      .map(({ container }) => container)
      .sort(),
    // A service of which nothing runs is in the status for its name's sake.
    ports: view.services
      .filter(({ workloads }) => workloads.some((workload: Covered) => isIn(workload.sidecar)))
      .map(({ name, ports }) => [name, ports.map(({ number, protocol }) => `${number}/${protocol}`).sort()]),
    unmeshed: view.unmeshed.map(({ container, reason }) => `${container}: ${reason}`).sort(),
  };
}

test("attached, it is what the plan said, gives the same answers, reaches the same and sees the same", async () => {
  const said = await timed("plan", () => project().cli("up", "--no-compose", "--plan", "--json"));
  expect([said.code, said.stderr]).toEqual([0, ""]);
  const plan: PlanView = JSON.parse(said.stdout);
  expect(plan).toMatchObject({ isUp: false, problems: [], removed: [], compose: null });
  await timed("attach", () => project().up("--no-compose"));
  await settledUnderMesh();
  // The worker ends with its connection and is started again, by Docker's own pauses.
  const planned = covered(plan, (sidecar) => sidecar === "create");
  const isReady = async () => covered(await project().status(), (sidecar) => sidecar === "ready");
  await eventually(async () => expect(await isReady()).toEqual(planned), settleMs, 200);
  expect(await timed("smoke under the mesh", () => project().smoke())).toEqual(before().answers);
  expect(await timed("reach under the mesh", () => project().reach())).toEqual(before().reach);
  await eventually(async () => expect(await project().views()).toEqual(before().views), settleMs, 500);
});

test("no byte went past the mesh but the UDP that no proxy carries", async () => {
  const { stdout } = await project().cli("--json", "status", "--fail-on-bypass");
  const { bypass }: StatusView = JSON.parse(stdout);
  // The worker ends with its connection when the mesh is attached, and sometimes before its first sidecar can be asked.
  expect(bypass?.unread.filter(({ container }) => !/worker/.test(container))).toEqual([]);
  const passed = bypass?.edges.filter(({ verdict }) => verdict === "passed") ?? [];
  console.log(
    `foreign: past the mesh: ${passed.map(({ from, to, cause, bytes }) => `${from} -> ${to} ${cause} ${bytes} B`)}`,
  );
  expect(passed.filter(({ cause, to }) => !(cause === "udp" && to === "stats"))).toEqual([]);
  // The smoke test counts by UDP.
  expect(passed.length).toBeGreaterThan(0);
});

test("a server that speaks first is not kept waiting", async () => {
  const withoutMs = before().firstByteMs;
  const withMs = await firstByteMs();
  console.log(
    `foreign: MariaDB's first byte ${withoutMs.toFixed(1)} ms without, ${withMs.toFixed(1)} ms with the mesh`,
  );
  expect(withMs - withoutMs).toBeLessThan(firstByteBarMs * slack);
});

test("Postgres still asks who is there for a password", async () => {
  const ask = async (url: string) =>
    await project()
      .docker("exec", await project().container("greeter"), "psql", "-w", "-Atc", "select 1", url)
      .catch((error: { stderr?: string }) => error.stderr ?? "");
  expect(await ask("postgres://postgres@db/postgres")).toMatch(/no password supplied/);
  expect(await ask("postgres://postgres:guessed@db/postgres")).toMatch(/password authentication failed/);
  expect(await ask("postgres://app:app-password@db/orders")).toBe("1");
});

test("an edited file takes effect with the next request", async () => {
  for (const text of ["a second text", "a third text"]) {
    project().edit("app/text.txt", `${text}\n`);
    const answers = await Promise.all(
      [1, 2, 3, 4].map(async () => await (await fetch(`${project().url}/text`)).json()),
    );
    expect(answers).toEqual(Array(4).fill(text));
  }
});

test("its own up, under the mesh: nothing is made anew, the job runs once more and ends, and its sidecar with it", async () => {
  const ids = async () => (await project().own("ps", "-q")).split("\n").sort();
  const job = await project().container("migrate");
  const startedAt = async () => await project().docker("inspect", "--format", "{{.State.StartedAt}}", job);
  const [idsBefore, startedBefore] = [await ids(), await startedAt()];
  await timed("its own up, under the mesh", () => project().own("up", "-d")).catch(async (error) => {
    throw new Error(`${error}\nthe job said: ${await project().docker("logs", job)}`);
  });
  expect(await ids()).toEqual(idsBefore);
  expect(await startedAt()).not.toBe(startedBefore);
  await eventually(async () => expect(await project().sidecar("migrate")).toBe(""), settleMs, 200);
  await settledUnderMesh();
});

test("a long idle connection lives, and a database and an API that are restarted are found again", async () => {
  // Redis: the database is restarted below, and would end a connection of its own.
  await using idle = await IdleRedis.open(await project().container("greeter"));
  const order = await fetch(`${project().url}/orders?id=restart&item=coffee`, { method: "POST" });
  expect(await order.json()).toEqual({ id: "restart" });
  for (const service of ["db", "api"]) {
    for (const number of service === "api" ? [1, 2] : [1]) {
      await project().docker("restart", "-t", "20", await project().container(service, number));
    }
    const start = performance.now();
    await timed(`${service} restarted, found again after`, () =>
      eventually(
        async () => {
          // Enough for each replica to be asked.
          for (let i = 0; i < 6; i++) {
            const answer = await fetch(`${project().url}/orders?id=restart`, { signal: AbortSignal.timeout(settleMs) });
            expect(await answer.text()).toBe('[["coffee"]]');
          }
        },
        settleMs,
        100,
      ),
    );
    expect(performance.now() - start).toBeLessThan(foundAgainMs);
  }
  await settledUnderMesh();
  expect(await idle.ask()).toBe("PONG");
});

test("detached, it is as it was", async () => {
  await timed("detach", () => project().down("--no-compose"));
  await eventually(isSettled, settleMs, 200);
  expect(await timed("smoke after the mesh", () => project().smoke())).toEqual(before().answers);
  expect(await timed("reach after the mesh", () => project().reach())).toEqual(before().reach);
  const wanted = sortedHosts(before().views);
  await eventually(async () => expect(sortedHosts(await project().views())).toEqual(wanted), settleMs, 500);
  expect(await project().docker("ps", "-aq", "--filter", `label=dev.devmesh.project=${project().name}`)).toBe("");
});
