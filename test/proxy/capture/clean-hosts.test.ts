import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { cleanHosts, withoutAddress } from "../../../proxy/capture/clean-hosts.ts";

const mesh = "10.213.0.5";

test.each([
  [
    "a line of Docker's",
    "127.0.0.1\tlocalhost\n172.18.0.2\tcart\n10.213.0.5\tcart\n",
    "127.0.0.1\tlocalhost\n172.18.0.2\tcart\n",
    1,
  ],
  ["the last line without its end", "127.0.0.1 localhost\n10.213.0.5 cart", "127.0.0.1 localhost\n", 1],
  ["every line of the address", "10.213.0.5 a\n::1 b\n\t10.213.0.5\tc\n", "::1 b\n", 2],
  ["no longer address", "10.213.0.50 cart\n", "10.213.0.50 cart\n", 0],
  ["no comment that names it", "# 10.213.0.5 cart\n", "# 10.213.0.5 cart\n", 0],
  ["no name that looks like it", "127.0.0.1 10.213.0.5\n", "127.0.0.1 10.213.0.5\n", 0],
  ["nothing of an empty file", "", "", 0],
])("takes out %s", (_why, before, text, removed) => {
  expect(withoutAddress(before, mesh)).toEqual({ text, removed });
});

test("writes in place and keeps every other byte, also those that are no UTF-8", async () => {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-hosts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "hosts");
  const kept = Buffer.concat([Buffer.from("127.0.0.1 localhost\r\n# "), Buffer.from([0xff, 0xfe, 0x0a, 0x0a])]);
  writeFileSync(path, Buffer.concat([Buffer.from(`${mesh}\tcart\n`), kept]));
  const { ino } = statSync(path);
  expect(await cleanHosts(mesh, path)).toBe(1);
  expect(readFileSync(path)).toEqual(kept);
  expect(statSync(path).ino).toBe(ino);
  expect(await cleanHosts(mesh, path)).toBe(0);
});
