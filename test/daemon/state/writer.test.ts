import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { mkdir, readdir, rmdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { StateWriter } from "../../../daemon/state/writer.ts";
import { eventually } from "../../support/eventually.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "writer-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function open(): { writer: StateWriter; troubles: (string | null)[] } {
  const troubles: (string | null)[] = [];
  const writer = new StateWriter({ retryMs: 5, onTrouble: (trouble) => troubles.push(trouble?.message ?? null) });
  onTestFinished(() => writer.close());
  return { writer, troubles };
}

const read = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));

/** A folder in its place: nothing can be renamed over it, for root neither. */
async function block(file: string): Promise<() => Promise<void>> {
  await mkdir(file);
  return () => rmdir(file);
}

test("the newest of many writes is what is on disk, and nothing lies beside it", async () => {
  const { writer, troubles } = open();
  const file = join(folder, "a.json");
  await Promise.all(Array.from({ length: 20 }, (_, n) => writer.write(file, { n })));
  expect(read(file)).toEqual({ n: 19 });
  expect(await readdir(folder)).toEqual(["a.json"]);
  expect(troubles).toEqual([]);
});

test("what could not be written is told once, tried again, and written with what is newest then", async () => {
  const { writer, troubles } = open();
  const [a, b] = [join(folder, "a.json"), join(folder, "b.json")];
  const unblock = [await block(a), await block(b)];
  await expect(writer.write(a, 1)).rejects.toThrow();
  await expect(writer.write(b, 1)).rejects.toThrow();
  expect(writer.trouble).not.toBeNull();
  await expect(writer.write(a, 2)).rejects.toThrow();
  expect(troubles).toHaveLength(1);
  await unblock[0]?.();
  await eventually(() => expect(read(a)).toBe(2));
  expect(writer.trouble).not.toBeNull();
  await unblock[1]?.();
  await eventually(() => expect(troubles.at(-1)).toBeNull());
  expect([read(b), writer.trouble, troubles.length]).toEqual([1, null, 2]);
});

test("closing tries once more, and never again", async () => {
  const { writer } = open();
  const [a, b] = [join(folder, "a.json"), join(folder, "b.json")];
  const unblock = [await block(a), await block(b)];
  for (const file of [a, b]) await writer.write(file, 1).catch(() => undefined);
  await unblock[0]?.();
  await writer.close();
  expect(read(a)).toBe(1);
  await unblock[1]?.();
  expect(existsSync(b)).toBe(false);
});
