import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { type FakeEngine, json, startFakeEngine } from "./fake-engine.ts";

let folder = "";
let fake: FakeEngine;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "dm-ssh-"));
  vi.stubEnv("PATH", `${folder}:${process.env.PATH}`);
  fake = await startFakeEngine({
    "/things": json([1]),
    "/events": (response) => {
      response.writeHead(200);
      response.write("first\n");
    },
  });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Puts a command named ssh before the real one. */
function installSsh(script: string): void {
  writeFileSync(join(folder, "ssh"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "ssh"), 0o755);
}

describe("an engine behind ssh", () => {
  test("is asked through the ssh command, over one connection for call after call", async () => {
    const bridge = `const s=require("net").connect(${JSON.stringify(fake.path)});process.stdin.pipe(s).pipe(process.stdout)`;
    const calls = join(folder, "calls");
    installSsh(`echo "$@" >> ${calls}\nexec ${process.execPath} -e '${bridge}'`);
    const engine = await connectEngine({ DOCKER_HOST: "ssh://me@far:22022" });
    for (let n = 0; n < 3; n++) expect(await engine.call({ method: "GET", path: "/things" })).toEqual([1]);
    const stream = await engine.stream({ method: "GET", path: "/events" });
    const [first] = await stream.take(1).toArray();
    expect(String(first)).toBe("first\n");
    const lines = readFileSync(calls, "utf8").trim().split("\n");
    expect(lines[0]).toBe("-T -o ConnectTimeout=10 -p 22022 -- me@far docker system dial-stdio");
    expect(lines.length).toBeLessThanOrEqual(2);
    expect(engine.isLocal).toBe(false);
    await engine.close();
  });

  test("is not stormed: few handshakes at a time, however much is asked at once", async () => {
    const bridge = `const s=require("net").connect(${JSON.stringify(fake.path)});process.stdin.pipe(s).pipe(process.stdout)`;
    // What is counted is how many have begun and are not through yet.
    const begin = `touch ${folder}/shakes.$$; ls ${folder} | grep -c shakes >> ${folder}/counts; sleep 0.05; rm ${folder}/shakes.$$`;
    installSsh(`${begin}\nexec ${process.execPath} -e '${bridge}'`);
    const engine = await connectEngine({ DOCKER_HOST: "ssh://far" });
    const asked = Array.from({ length: 12 }, () => engine.call({ method: "GET", path: "/things" }));
    expect(await Promise.all(asked)).toEqual(asked.map(() => [1]));
    const counts = readFileSync(join(folder, "counts"), "utf8").trim().split("\n").map(Number);
    expect(counts.length).toBeGreaterThan(2);
    expect(Math.max(...counts)).toBeLessThanOrEqual(4);
    await engine.close();
  });

  test("that refuses is told in ssh's own words", async () => {
    installSsh('echo "me@far: Permission denied (publickey)." >&2; exit 255');
    await expect(connectEngine({ DOCKER_HOST: "ssh://me@far" })).rejects.toMatchObject({
      code: "DM0101",
      message: expect.stringContaining("Permission denied (publickey)"),
    });
  });
});
