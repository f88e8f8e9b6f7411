import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { readJson, storageProblem, writeFileAtomic, writeJson } from "../../../daemon/state/store.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "store-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("what is written is read back, in a folder that is made on the way", async () => {
  const file = join(folder, "a", "b.json");
  await writeJson(file, { n: 1 });
  expect(await readJson(file, z.object({ n: z.number() }))).toEqual({ n: 1 });
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test("a reader never sees half a file while it is being replaced", async () => {
  const file = join(folder, "x.json");
  const long = "y".repeat(200_000);
  await writeJson(file, { long });
  const writes = Promise.all([1, 2, 3, 4, 5].map(() => writeJson(file, { long })));
  for (let i = 0; i < 20; i++) expect(JSON.parse(await readFile(file, "utf8")).long.length).toBe(long.length);
  await writes;
  expect(await readdir(folder)).toEqual(["x.json"]);
});

test.each([
  ["missing", null],
  ["cut off", '{"n":'],
  ["of another shape", '{"n":"one"}'],
])("a file that is %s reads as null", async (_why, text) => {
  const file = join(folder, "n.json");
  if (text !== null) await writeFile(file, text);
  expect(await readJson(file, z.object({ n: z.number() }))).toBeNull();
});

test("a failed write keeps the old text, leaves nothing beside it and says what to do", async () => {
  const file = join(folder, "locked", "x.json");
  await mkdir(join(folder, "locked", "x.json"), { recursive: true });
  // A folder in the place of the file: the rename fails for root as well.
  await expect(writeFileAtomic(file, "new")).rejects.toThrow();
  expect(await readdir(join(folder, "locked"))).toEqual(["x.json"]);
  await chmod(join(folder, "locked"), 0o700);
});

test.each([
  ["ENOSPC", /disk is full/],
  ["EDQUOT", /disk is full/],
  ["EACCES", /EACCES/],
  ["EROFS", /EROFS/],
])("%s becomes DM0402", (code, message) => {
  const problem = storageProblem(Object.assign(new Error("x"), { code }), "/s/x.json");
  expect(problem).toMatchObject({ code: "DM0402", message: expect.stringMatching(message) });
});

test("another error stays what it was", () => {
  const error = new Error("bug");
  expect(storageProblem(error, "/x")).toBe(error);
});
