import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { addHosts } from "../../../proxy/capture/add-hosts.ts";

test.each([
  ["after the last line", "127.0.0.1 localhost\n", "127.0.0.1 localhost\n172.18.0.2\tcart\n"],
  ["after a line without its end", "127.0.0.1 localhost", "127.0.0.1 localhost\n172.18.0.2\tcart\n"],
  ["into an empty file", "", "172.18.0.2\tcart\n"],
])("adds lines %s, in place", async (_why, before, after) => {
  const folder = mkdtempSync(join(tmpdir(), "devmesh-hosts-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "hosts");
  writeFileSync(path, before);
  const { ino } = statSync(path);
  await addHosts(Buffer.from("172.18.0.2\tcart\n").toString("base64"), path);
  expect(readFileSync(path, "utf8")).toBe(after);
  expect(statSync(path).ino).toBe(ino);
});
