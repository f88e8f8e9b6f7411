import { mkdir, mkdtemp, readFile, rm, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openEpochs } from "../../../daemon/push/epochs.ts";
import { StateWriter } from "../../../daemon/state/writer.ts";
import { eventually } from "../../support/eventually.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "epochs-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("epochs grow with every call, also within one millisecond", async () => {
  const epochs = await openEpochs(join(folder, "e.json"), () => 1_000, new StateWriter());
  const got = [await epochs.next(), await epochs.next(), await epochs.next()];
  expect(got).toEqual([1_000, 1_001, 1_002]);
});

test("a new daemon's epochs exceed those of the one before, even when the clock went back an hour", async () => {
  const file = join(folder, "e.json");
  const first = await openEpochs(file, () => 5_000_000, new StateWriter());
  const last = Math.max(await first.next(), await first.next());
  const second = await openEpochs(file, () => 5_000_000 - 3_600_000, new StateWriter());
  expect(await second.next()).toBeGreaterThan(last);
});

test("a disk that takes nothing keeps nobody waiting, and the epochs are written when it does again", async () => {
  const file = join(folder, "e.json");
  const writer = new StateWriter({ retryMs: 5 });
  const epochs = await openEpochs(file, () => 1_000, writer);
  await mkdir(file);
  expect([await epochs.next(), await epochs.next()]).toEqual([1_000, 1_001]);
  expect(writer.trouble).not.toBeNull();
  await rmdir(file);
  await eventually(() => expect(writer.trouble).toBeNull());
  expect(JSON.parse(await readFile(file, "utf8")).reserved).toBeGreaterThan(1_001);
  await writer.close();
});
