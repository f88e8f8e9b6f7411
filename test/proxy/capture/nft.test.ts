import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { runNft } from "../../../proxy/capture/nft.ts";

function program(body: string): { path: string; folder: string } {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-nft-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "nft");
  writeFileSync(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return { path, folder };
}

describe("runNft", () => {
  test("gives the whole script to nft -f -", async () => {
    const { path, folder } = program('echo "$@" > "$(dirname "$0")/arguments"; cat > "$(dirname "$0")/script"');
    const script = `table inet devmesh\n${"# filler\n".repeat(20_000)}`;
    await runNft(script, path);
    expect(readFileSync(join(folder, "arguments"), "utf8")).toBe("-f -\n");
    expect(readFileSync(join(folder, "script"), "utf8")).toBe(script);
  });

  test("throws with nft's own words, of which it keeps a bounded part, also when nft reads nothing", async () => {
    const { path } = program("echo 'Operation not permitted' >&2; head -c 100000 /dev/zero | tr '\\0' x >&2; exit 1");
    const error = await runNft("x".repeat(500_000), path).catch((thrown: Error) => thrown);
    expect(String(error)).toContain("exit code 1: Operation not permitted");
    expect(String(error).length).toBeLessThan(17_000);
  });

  test("says that nft is missing", async () => {
    await expect(runNft("", "/nonexistent/nft")).rejects.toThrow("cannot run /nonexistent/nft");
  });
});
