import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { readSpecFile } from "../../../daemon/spec/load.ts";
import { specBytesMax } from "../../../daemon/spec/spec-text.ts";

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-spec-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** The only code of an invalid file. */
async function codeOf(path: string): Promise<string> {
  const loaded = await readSpecFile(path, { file: "mesh.yaml" });
  return loaded.kind === "ok" ? "ok" : loaded.diagnostics.map(({ code }) => code).join();
}

const contents: readonly (readonly [string, Buffer, string])[] = [
  ["valid", Buffer.from("name: shop\n"), "ok"],
  ["empty", Buffer.from(""), "DM1003"],
  ["with a byte order mark", Buffer.from("\uFEFFname: shop\n"), "ok"],
  ["with nothing but a byte order mark", Buffer.from("\uFEFF"), "DM1003"],
  ["Latin-1", Buffer.from("name: caf\u00e9\n", "latin1"), "DM1005"],
  ["UTF-16", Buffer.from("\uFEFFname: shop\n", "utf16le"), "DM1005"],
  ["as large as allowed", Buffer.from(`name: shop\n${"#".repeat(specBytesMax - 11)}`), "ok"],
  ["a byte larger", Buffer.from(`name: shop\n${"#".repeat(specBytesMax - 10)}`), "DM1004"],
  ["2 MB", Buffer.alloc(2_000_000, "# x\n"), "DM1004"],
];

test.each(contents)("a file that is %s is read or refused", async (_, bytes, expected) => {
  const path = join(temporaryFolder(), "mesh.yaml");
  writeFileSync(path, bytes);
  expect(await codeOf(path)).toBe(expected);
});

test("a missing file, a folder and a path through a file say what is wrong", async () => {
  const folder = temporaryFolder();
  const file = join(folder, "file");
  writeFileSync(file, "name: a");
  mkdirSync(join(folder, "mesh.yaml"));
  expect(await codeOf(join(folder, "none.yaml"))).toBe("DM1001");
  expect(await codeOf(join(file, "mesh.yaml"))).toBe("DM1001");
  expect(await codeOf(join(folder, "mesh.yaml"))).toBe("DM1002");
});

test("a named pipe is refused without waiting for its writer", async () => {
  const path = join(temporaryFolder(), "pipe");
  execFileSync("mkfifo", [path]);
  expect(await codeOf(path)).toBe("DM1002");
});

test("a file that may not be read says so, with the way out", async () => {
  const folder = temporaryFolder();
  const path = join(folder, "mesh.yaml");
  writeFileSync(path, "name: shop");
  chmodSync(path, 0o000);
  chmodSync(folder, 0o755);
  // Root reads everything, so it becomes nobody for the moment.
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) process.seteuid?.(65_534);
  try {
    const loaded = await readSpecFile(path, { file: "mesh.yaml" });
    expect(loaded).toMatchObject({
      kind: "invalid",
      diagnostics: [{ code: "DM1002", hint: "try: chmod u+r mesh.yaml", line: 0 }],
    });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("a file is shown as its path from the current folder, and by its whole path elsewhere", async () => {
  const outside = join(temporaryFolder(), "none.yaml");
  expect(await readSpecFile(outside)).toMatchObject({ file: outside });
  expect(await readSpecFile(join(process.cwd(), "none/mesh.yaml"))).toMatchObject({ file: join("none", "mesh.yaml") });
});
