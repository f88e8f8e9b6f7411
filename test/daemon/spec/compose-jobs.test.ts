import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { composeJobsReader, readComposeJobs } from "../../../daemon/spec/compose-jobs.ts";

const api = (depends: string) => `services:\n  api:\n    depends_on: ${depends}\n`;
const waits = "{ condition: service_completed_successfully }";

test.each<[string, string[], string[]]>([
  [
    "one that another waits for to complete",
    [api(`{ migrate: ${waits}, db: { condition: service_healthy } }`)],
    ["migrate"],
  ],
  ["those of several files", [api(`{ migrate: ${waits} }`), api(`{ seed: ${waits} }`)], ["migrate", "seed"]],
  [
    "one behind an anchor and a merge key",
    [`x-waits: &waits\n  depends_on: { migrate: ${waits} }\nservices:\n  api: { <<: *waits }\n`],
    ["migrate"],
  ],
  ["none in a list", [api("[migrate, service_completed_successfully]")], []],
  ["none in a file without services", [`x: ${waits}\n`], []],
  ["none in a file that does not parse", [`services: [ ${waits}`], []],
  ["none in a file that is a text", ["service_completed_successfully"], []],
])("finds %s", (_why, texts, expected) => {
  expect([...readComposeJobs(texts)]).toEqual(expected);
});

test("reads the files anew, and knows nothing of one that is not there", () => {
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-jobs-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "compose.yaml");
  const read = composeJobsReader([file]);
  expect([...read()]).toEqual([]);
  writeFileSync(file, api(`{ migrate: ${waits} }`));
  expect([...read()]).toEqual(["migrate"]);
});
