import { appendFile, mkdtemp, rename, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { SpecWatch } from "../../daemon/spec-watch.ts";
import { eventually } from "../support/eventually.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "watch-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function watched(names: [string, ...string[]] = ["mesh.yaml"], pollMs = 60_000) {
  const [first, ...rest] = names;
  const changes: number[] = [];
  const watch = new SpecWatch({
    files: [join(folder, first), ...rest.map((name) => join(folder, name))],
    onChange: () => changes.push(performance.now()),
    onError: (error) => {
      throw error;
    },
    pollMs,
  });
  onTestFinished(() => watch.close());
  await watch.ready;
  return changes;
}

const file = () => join(folder, "mesh.yaml");

test.each([
  ["written in place", () => writeFile(file(), "b")],
  ["appended to", () => appendFile(file(), "b")],
  [
    "replaced by rename, as most editors save",
    async () => {
      await writeFile(`${file()}.tmp`, "b");
      await rename(`${file()}.tmp`, file());
    },
  ],
  [
    "moved to a backup and written anew, as vim saves",
    async () => {
      await rename(file(), `${file()}~`);
      await writeFile(file(), "b");
    },
  ],
  ["removed", () => rm(file())],
])("a file that is %s is noticed within 60 ms", async (_why, edit) => {
  await writeFile(file(), "a");
  const changes = await watched();
  const before = performance.now();
  await edit();
  await eventually(() => expect(changes.length).toBeGreaterThan(0), 5_000, 1);
  expect((changes[0] ?? 0) - before).toBeLessThan(60);
});

test("a second replacement is noticed as well", async () => {
  await writeFile(file(), "a");
  const changes = await watched();
  for (const text of ["b", "c", "d"]) {
    changes.length = 0;
    await writeFile(`${file()}.tmp`, text);
    await rename(`${file()}.tmp`, file());
    await eventually(() => expect(changes.length).toBeGreaterThan(0));
  }
});

test("a file that appears under one of several names is noticed", async () => {
  const changes = await watched(["mesh.yaml", "mesh.yml"]);
  await writeFile(join(folder, "mesh.yml"), "a");
  await eventually(() => expect(changes.length).toBeGreaterThan(0));
});

test("other files in the folder are not the file", async () => {
  await writeFile(file(), "a");
  const changes = await watched();
  for (let i = 0; i < 20; i++) await writeFile(join(folder, `log${i}`), "x");
  const before = changes.length;
  await writeFile(file(), "b");
  await eventually(() => expect(changes.length).toBeGreaterThan(before));
  expect(before).toBe(0);
});

test("what the system does not tell is found by the poll", async () => {
  // Behind a link the folder's events tell nothing, as on some mounts.
  const elsewhere = await mkdtemp(join(tmpdir(), "elsewhere-"));
  onTestFinished(() => rm(elsewhere, { recursive: true, force: true }));
  await writeFile(join(elsewhere, "real.yaml"), "a");
  await symlink(join(elsewhere, "real.yaml"), file());
  const changes = await watched(["mesh.yaml"], 30);
  await writeFile(join(elsewhere, "real.yaml"), "b");
  await eventually(() => expect(changes.length).toBeGreaterThan(0));
});
