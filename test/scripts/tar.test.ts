import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";

interface Entry {
  readonly name: string;
  readonly mode: number;
  readonly content: Buffer;
}

// The scripts have no types: they run before TypeScript is installed.
const { tarOf } = (await import(new URL("../../scripts/lib/tar.mjs", import.meta.url).href)) as {
  tarOf: (entries: readonly Entry[]) => Buffer;
};

it("writes archives that tar unpacks, the same bytes each time", () => {
  const entries: Entry[] = [
    { name: "empty", mode: 0o644, content: Buffer.alloc(0) },
    { name: "folder/script", mode: 0o755, content: Buffer.from("#!/bin/sh\n") },
    { name: "block", mode: 0o600, content: Buffer.alloc(512, 7) },
    { name: "large", mode: 0o644, content: Buffer.alloc(100_001, 1) },
  ];
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-tar-"));
  try {
    writeFileSync(path.join(folder, "a.tar"), tarOf(entries));
    expect(tarOf(entries)).toEqual(readFileSync(path.join(folder, "a.tar")));
    execFileSync("tar", ["-xpf", "a.tar"], { cwd: folder });
    for (const { name, mode, content } of entries) {
      expect(readFileSync(path.join(folder, name))).toEqual(content);
      expect(statSync(path.join(folder, name)).mode & 0o777).toBe(mode);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("refuses a name that does not fit", () => {
  expect(() => tarOf([{ name: "x".repeat(100), mode: 0o644, content: Buffer.alloc(0) }])).toThrow("too long");
});
