// The daemon's clock is a day ahead, a day behind, and steps while it runs: certificates are good for the engine's containers all the same.
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, firstSuccessAfter, Load } from "../support/load.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { echoService } from "../support/refused.ts";

/** Whoever tests with certificates of 10 s sees within that whether new ones are good. */
const lifetimeMs = 10_000;
/** From Docker's `start` to the first answer. */
const backWithinMs = 1000;
/** What this allows the bar to be missed by: it is about certificates, and speed is judged elsewhere. */
const slack = 10;

const state = {
  project: null as MeshProject | null,
  folder: "",
  loads: [] as Load[],
};
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

/** What libfaketime adds to the time that the daemon and the commands see: "+1d", "-1d", "+0". */
function setClock(offset: string): void {
  writeFileSync(path.join(state.folder, "clock"), `${offset}\n`);
}

beforeAll(async () => {
  state.folder = mkdtempSync(path.join(tmpdir(), "dm-clock-"));
  setClock("+1d");
  const [library] = globSync("/usr/lib/*/faketime/libfaketime.so.1");
  expect(library !== undefined && existsSync(library), "Debian's package faketime is not installed").toBe(true);
  state.project = new MeshProject({
    name: "clock",
    compose: `services:${["client", "api", "solo"].map((name) => echoService(name)).join("")}\n`,
    mesh: `
name: clock${process.pid}
mtls: strict
certificateLifetime: ${lifetimeMs / 1000}s
services:
  client: { port: 8080 }
  api: { port: 8080 }
  solo: { port: 8080 }
`,
    env: {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: path.join(state.folder, "clock"),
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
    },
  });
  await project().up();
  const client = await project().container("client");
  const upgrade = { connection: "Upgrade", upgrade: "echo" };
  // Each Upgrade is a handshake of its own between two proxies.
  for (const options of [
    { url: "http://api:8080/?ms=10", rate: 25 },
    { url: "http://api:8080/", rate: 10, headers: upgrade },
  ]) {
    state.loads.push(await Load.inContainer(client, { ...options, timeoutMs: 10_000 }));
  }
});

afterAll(async () => {
  await Promise.all(state.loads.map((load) => load.stop()));
  await state.project?.close();
  rmSync(state.folder, { recursive: true, force: true });
});

const expiries = async (): Promise<readonly (string | null)[]> =>
  (await project().status()).services.flatMap(({ workloads }) => workloads.map((one) => one.certificateExpiresAt));

test.each([
  ["was a day ahead when it started", "+1d", /is 14\d\d minutes ahead of/],
  ["steps to a day behind", "-1d", /is 14\d\d minutes behind/],
  ["steps to what the engine's is", "+0", null],
  ["steps a day ahead", "+1d", /is 14\d\d minutes ahead of/],
])("a daemon whose clock %s renews certificates, and takes containers in", async (what, offset, trouble) => {
  setClock(offset);
  const before = await expiries();
  await using events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
  const solo = await project().container("solo");
  const toSolo = { url: "http://solo:8080/", rate: 25, timeoutMs: 10_000 };
  await using load = await Load.inContainer(await project().container("client"), toSolo);
  const sinceMs = Date.now();
  await project().docker("restart", "-t", "1", solo);
  const startMs = await events.at(solo, "start", sinceMs);
  await load.successes(25);
  const back = firstSuccessAfter(load.sent, startMs) ?? Number.POSITIVE_INFINITY;
  // Twice: the second time by what is known after the step.
  for (let renewed = 0, last = before; renewed < 2; renewed++) {
    last = await eventually(
      async () => {
        const now = await expiries();
        expect(now.some((at) => last.includes(at))).toBe(false);
        return now;
      },
      4 * lifetimeMs,
      500,
    );
    for (const at of last) expect(Math.abs(Date.parse(at ?? "") - Date.now())).toBeLessThan(2 * lifetimeMs);
  }
  const { troubles, health } = await project().status();
  expect(health).toBe("ok");
  expect(troubles).toEqual(trouble === null ? [] : [expect.stringMatching(trouble)]);
  console.log(`the daemon's clock ${what}: a restarted container answers ${Math.round(back)} ms after its start`);
  for (const one of state.loads) {
    console.log(`  ${describeLoad(one.sent)}`);
    expect(failures(one.sent)).toEqual([]);
  }
  expect(back).toBeLessThan(backWithinMs * slack);
});
