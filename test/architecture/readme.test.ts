// The status in README.md is what the view makes of readme-status.json (the output of `devmesh status --json`), two minutes
// after that mesh's start. `UPDATE_GOLDEN=1` writes it anew.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { statusLines } from "../../cli/screen/status-view.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { loadSpec } from "../../daemon/spec/load.ts";
import { repository } from "./source-tree.ts";

const readme = join(repository, "README.md");
const block = /(<!-- status -->\n```\n)[\s\S]*?(```\n<!-- end -->)/;

test("the status in README.md is what the program prints", () => {
  const view: StatusView = JSON.parse(readFileSync(join(import.meta.dirname, "readme-status.json"), "utf8"));
  const lines = statusLines(view, Date.parse(view.startedAt) + 120_000, { columns: 132, rows: 40 });
  const text = lines.map((line) => line.text).join("\n");
  const page = readFileSync(readme, "utf8");
  const written = page.replace(block, (_all, before: string, after: string) => `${before}${text}\n${after}`);
  if (process.env.UPDATE_GOLDEN === "1") writeFileSync(readme, written);
  expect(page).toMatch(block);
  expect(readFileSync(readme, "utf8")).toBe(written);
});

test("every mesh.yaml in README.md is valid", () => {
  const page = readFileSync(readme, "utf8");
  const examples = [...page.matchAll(/```yaml\n(# mesh\.yaml[\s\S]*?)```/g)].map((match) => match[1] ?? "");
  expect(examples.length).toBeGreaterThan(0);
  for (const text of examples) {
    expect(loadSpec(text, { file: "mesh.yaml", knownServices: null })).toMatchObject({ kind: "ok", warnings: [] });
  }
});
