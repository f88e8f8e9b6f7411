import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, it } from "vitest";
import { readTarFile, type TarEntry, tarOf } from "../../../cli/image/tar.ts";

it("writes archives that tar unpacks, the same bytes each time", () => {
  const entries: TarEntry[] = [
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

it("finds one file of an archive, whatever wrote it, and says when it is not there", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-tar-"));
  try {
    const entries = [
      { name: "layer", mode: 0o644, content: Buffer.alloc(1_000_000, 1) },
      { name: "manifest.json", mode: 0o644, content: Buffer.from("[]") },
    ];
    const archive = path.join(folder, "a.tar");
    writeFileSync(archive, tarOf(entries));
    for (const { name, content } of entries) writeFileSync(path.join(folder, name), content);
    execFileSync("tar", ["-cf", "b.tar", "layer", "manifest.json"], { cwd: folder });
    expect(await readTarFile(archive, "manifest.json")).toEqual(Buffer.from("[]"));
    expect(await readTarFile(path.join(folder, "b.tar"), "manifest.json")).toEqual(Buffer.from("[]"));
    expect(await readTarFile(archive, "other")).toBeNull();
    expect(await readTarFile(path.join(folder, "manifest.json"), "manifest.json")).toBeNull();
    expect(await readTarFile(path.join(folder, "layer"), "manifest.json")).toBeNull();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("refuses a name that does not fit", () => {
  expect(() => tarOf([{ name: "x".repeat(100), mode: 0o644, content: Buffer.alloc(0) }])).toThrow("too long");
});
