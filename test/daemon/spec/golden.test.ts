// Golden folders: mesh.yaml and what comes of it, expected.json or expected-errors.txt. UPDATE_GOLDEN=1 rewrites them; review the diff.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { formatDiagnostic } from "../../../daemon/spec/diagnostic.ts";
import { loadSpec } from "../../../daemon/spec/load.ts";

const folder = join(import.meta.dirname, "../../golden/spec");
const isUpdate = process.env.UPDATE_GOLDEN === "1";
const cases = readdirSync(folder).sort();

test.each(cases)("golden case %s gives what it expects", (name) => {
  const path = (file: string) => join(folder, name, file);
  // Beside mesh.yaml: the compose services, where the case is about them.
  const knownServices = existsSync(path("services.json"))
    ? JSON.parse(readFileSync(path("services.json"), "utf8"))
    : null;
  const loaded = loadSpec(readFileSync(path("mesh.yaml"), "utf8"), { file: "mesh.yaml", knownServices });
  const isOk = loaded.kind === "ok";
  const actual = isOk
    ? `${JSON.stringify({ spec: loaded.spec, warnings: loaded.warnings.map(formatDiagnostic) }, null, 2)}\n`
    : `${loaded.diagnostics.map(formatDiagnostic).join("\n")}\n`;
  const [wanted, unwanted] = isOk ? ["expected.json", "expected-errors.txt"] : ["expected-errors.txt", "expected.json"];
  if (isUpdate) {
    writeFileSync(path(wanted), actual);
    rmSync(path(unwanted), { force: true });
  }
  expect(existsSync(path(unwanted)), `${name} was expected to end in ${unwanted}:\n${actual}`).toBe(false);
  expect(actual).toBe(readFileSync(path(wanted), "utf8"));
});

test("the golden folder has at least forty cases that are refused", () => {
  const refused = cases.filter((name) => existsSync(join(folder, name, "expected-errors.txt")));
  expect(refused.length).toBeGreaterThanOrEqual(40);
});
