// Splits and their edits on real Docker: exact, live without a failed request, and harmless when they are broken.
import { renameSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { editUnderLoad, percentile, waitForEffect } from "../support/edits.ts";
import { eventually } from "../support/eventually.ts";
import { HeldConnections } from "../support/held-connections.ts";
import { describeLoad, failures, Load } from "../support/load.ts";
import type { MeshProject } from "../support/mesh-project.ts";
import { createReloadProject, type Language, type ReloadProject, type Weights } from "../support/reload-project.ts";

/** Milliseconds from the save until every proxy obeys; the benchmark holds the bar itself. */
const barMs = 250;
const state: { reload: ReloadProject | null } = { reload: null };
const reload = (): ReloadProject => state.reload ?? expect.unreachable("the project is not up");
const project = (): MeshProject => reload().project;
const meshFile = (): string => path.join(project().folder, "mesh.yaml");

beforeAll(async () => {
  state.reload = await createReloadProject("reload");
  await project().up();
});
afterAll(() => state.reload?.project.close());

/** Requests of one client in its container, sixteen at a time; answers by "path name". */
async function countAnswers(count: number, paths: readonly string[] = ["/"]): Promise<Record<string, number>> {
  const script = `
    const paths = ${JSON.stringify(paths)}, seen = {}; let next = 0;
    const work = async () => {
      for (let i = next++; i < ${count}; i = next++) {
        const path = paths[i % paths.length];
        const response = await fetch("http://payment:8080" + path, { method: "POST", body: "{}" });
        await response.text();
        const key = path + " " + (response.ok ? response.headers.get("x-name") : response.status);
        seen[key] = (seen[key] ?? 0) + 1;
      }
    };
    Promise.all(Array.from({ length: paths.length > 1 ? 1 : 16 }, work)).then(() => console.log(JSON.stringify(seen)));`;
  return JSON.parse(await project().evaluate("client", script));
}

/** Writes the split and waits until the mesh says that it is in force on every proxy. */
async function putInForce(weights: Weights, language: Language = "native"): Promise<void> {
  const { revision } = (await project().status()).config;
  project().write("mesh.yaml", reload().meshText(weights, language));
  await eventually(async () => {
    const { config, health } = await project().status();
    expect({ health, isInSync: config.isInSync, isNew: config.revision > revision }).toEqual({
      health: "ok",
      isInSync: true,
      isNew: true,
    });
  });
}

async function editsUnderLoad(edits: number, language: Language): Promise<void> {
  await putInForce([100, 0], language);
  const { sent, rate, times } = await editUnderLoad(reload(), { edits, language });
  console.log(
    `${edits} ${language} edits under ${rate.toFixed(0)} requests/s: ${describeLoad(sent)}; ` +
      `in effect on each of 3 proxies after p50 ${percentile(times, 0.5)} ms, max ${Math.max(...times)} ms (bar ${barMs} ms)`,
  );
  expect(failures(sent)).toEqual([]);
  expect(rate).toBeGreaterThan(200);
  expect(times).toHaveLength(edits * 3);
  expect(Math.max(...times)).toBeLessThan(3 * barMs);
}

describe.each<Language>(["native", "istio"])("a split written in the %s language", (language) => {
  test("of 90 to 10 over 1,000 requests of one client gives exactly 900 and 100", async () => {
    if (language !== "native") await putInForce([90, 10], language);
    expect(await countAnswers(1_000)).toEqual({ "/ payment-v1": 900, "/ payment-v2": 100 });
  });

  test("of 50 to 50 lets two alternating paths both reach both versions", async () => {
    await putInForce([50, 50], language);
    const seen = await countAnswers(400, ["/a", "/b"]);
    expect(Object.keys(seen).sort()).toEqual(["/a payment-v1", "/a payment-v2", "/b payment-v1", "/b payment-v2"]);
    expect((seen["/a payment-v1"] ?? 0) + (seen["/b payment-v1"] ?? 0)).toBe(200);
    for (const count of Object.values(seen)) expect(count).toBeGreaterThan(50);
  });

  test("of weight 0 gets no request at all", async () => {
    await putInForce([100, 0], language);
    expect(await countAnswers(300)).toEqual({ "/ payment-v1": 300 });
  });
});

describe("edits under load", () => {
  test("50 of them fail no request and are in effect on every proxy; a WebSocket and a Redis connection stay open", async () => {
    const before = (await project().status()).config.revision;
    const addresses = { websocket: "ws://chat:8080/", redis: "redis:6379" };
    await using held = new HeldConnections(await project().container("client"), addresses);
    await editsUnderLoad(50, "native");
    const result = await held.end();
    const reloads = (await project().status()).config.revision - before;
    console.log(`held over ${reloads} reloads: ${JSON.stringify(result)}`);
    expect(reloads).toBeGreaterThanOrEqual(50);
    for (const { answered, ended } of [result.websocket, result.redis]) {
      expect(ended).toBe("");
      expect(answered).toBeGreaterThan(50);
    }
  });

  test("the same holds for VirtualService and DestinationRule", () => editsUnderLoad(20, "istio"));
});

describe("how editors save", () => {
  const saves: [string, (text: string) => void | Promise<void>][] = [
    [
      "a rename over the file",
      (text) => {
        writeFileSync(`${meshFile()}.tmp`, text);
        renameSync(`${meshFile()}.tmp`, meshFile());
      },
    ],
    [
      "a backup by rename, then a new file (vim)",
      async (text) => {
        renameSync(meshFile(), `${meshFile()}~`);
        await delay(30);
        writeFileSync(meshFile(), text);
        rmSync(`${meshFile()}~`);
      },
    ],
    [
      "a file that is emptied and written in two halves",
      async (text) => {
        const half = text.indexOf("v2: 100");
        for (const part of ["", text.slice(0, half), text]) {
          writeFileSync(meshFile(), part);
          await delay(30);
        }
      },
    ],
  ];

  test.each(saves)("%s is one edit, and nothing fails on the way", async (_how, save) => {
    await putInForce([100, 0]);
    const client = await project().container("client");
    await using load = await Load.inContainer(client, { url: "http://payment:8080/", rate: 100 });
    const edit = { savedAt: Date.now(), name: "payment-v2" };
    await save(reload().meshText([0, 100]));
    await waitForEffect([load], edit);
    expect(failures(await load.stop())).toEqual([]);
    await eventually(async () => expect((await project().status()).config.diagnostics).toEqual([]));
  });
});

/** What breaks mesh.yaml (null: it is deleted), and where `status` is to say so. */
type Break = [what: string, broken: (text: string) => string | null, where: RegExp];
const breaks: Break[] = [
  ["a syntax error", (text) => `${text}  payment2: {port: [}\n`, /^mesh\.yaml:14:21 error: .*\(DM1006\)$/m],
  [
    "a version that is not there",
    (text) => text.replace("v2: 10", "v3: 10"),
    /^mesh\.yaml:13:22 error: split names v3, but payment has v1, v2 \(DM1103\)$/m,
  ],
  [
    "a mistyped key",
    (text) => text.replace("split:", "splitt:"),
    /^mesh\.yaml:13:5 error: services\.payment has no key splitt \(DM1101\)\n +hint: did you mean split\?$/m,
  ],
  [
    "half of the file",
    (text) => text.slice(0, text.indexOf("{ v1: 90")),
    /^mesh\.yaml:13:5 error: services\.payment\.split must be a map .*\(DM1102\)$/m,
  ],
  ["an empty file", () => "", /^mesh\.yaml error: the file is empty \(DM1003\)$/m],
  ["its deletion", () => null, /^mesh\.yaml error: the file does not exist \(DM1001\)$/m],
];

describe("a broken edit", () => {
  test.each(breaks)(
    "(%s) changes nothing, is in status with its place, and goes away when fixed",
    async (_what, broken, where) => {
      await putInForce([50, 50]);
      await putInForce([90, 10]);
      const { revision } = (await project().status()).config;
      const text = broken(reload().meshText([90, 10]));
      if (text === null) rmSync(meshFile());
      else project().write("mesh.yaml", text);
      const shown = await eventually(async () => {
        const result = await project().cli("status");
        expect(result.code).toBe(7);
        return result;
      });
      expect(shown.stdout).toMatch(where);
      expect(shown.stdout).toContain("NOT APPLIED");
      const view = await project().status();
      expect(view.config).toMatchObject({ revision, isInSync: false });
      expect(view.config.diagnostics[0]).toMatchObject({ file: "mesh.yaml", severity: "error" });
      expect(await countAnswers(200)).toEqual({ "/ payment-v1": 180, "/ payment-v2": 20 });
      const fixedAt = performance.now();
      project().write("mesh.yaml", reload().meshText([0, 100]));
      await eventually(async () => {
        const { code, stdout } = await project().cli("status");
        expect({ code, isClean: !/error|NOT APPLIED/.test(stdout) }).toEqual({ code: 0, isClean: true });
      });
      console.log(`fixed: status is clean ${Math.round(performance.now() - fixedAt)} ms after the save`);
      expect(await countAnswers(50)).toEqual({ "/ payment-v2": 50 });
    },
  );
});
