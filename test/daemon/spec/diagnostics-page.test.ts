import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { compileCodes } from "../../../daemon/compile/problems.ts";
import { diagnosticCodes } from "../../../daemon/spec/codes.ts";
import { loadSpec } from "../../../daemon/spec/load.ts";
import { nativeJsonSchema } from "../../../daemon/spec/schema.ts";

const page = (name: string) => readFileSync(join(import.meta.dirname, "../../../docs", name), "utf8");

test("docs/diagnostics.md lists exactly the codes of the table, with their titles and an example each", () => {
  const sections = page("diagnostics.md").split(/^### /m).slice(1);
  const listed = sections.map((section) => /^(DM\d{4}) (.*)$/m.exec(section)?.slice(1, 3));
  expect(listed).toEqual(Object.entries(diagnosticCodes));
  for (const section of sections) expect(section, section.slice(0, 40)).toMatch(/```/);
});

const examples = page("diagnostics.md")
  .split(/^### /m)
  .slice(1)
  .flatMap((section) => {
    const yaml = /^```yaml\n(.*?)^```/ms.exec(section)?.[1];
    return yaml === undefined ? [] : [[section.slice(0, 6), yaml] as const];
  });

test.each(examples)("the example of %s gives that code", (code, yaml) => {
  const loaded = loadSpec(yaml, { file: "mesh.yaml", knownServices: ["website", "cart", "payment"] });
  const found = loaded.kind === "ok" ? loaded.warnings : loaded.diagnostics;
  expect(found.map((diagnostic) => diagnostic.code)).toEqual([code]);
});

test("the examples of docs/mesh-yaml.md that are whole files load without a warning", () => {
  const whole = [...page("mesh-yaml.md").matchAll(/^```yaml\n((?:name|apiVersion).*?)^```/gms)].map(
    (match) => match[1] ?? "",
  );
  expect(whole).toHaveLength(2);
  for (const yaml of whole) expect(loadSpec(yaml, { file: "mesh.yaml" })).toMatchObject({ kind: "ok", warnings: [] });
});

test("every code that compile uses is in the table", () => {
  for (const code of Object.values(compileCodes)) expect(diagnosticCodes).toHaveProperty(code);
});

test("docs/mesh-yaml.md mentions every key of the native language", () => {
  const keys = new Set<string>();
  const collect = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return;
    const { properties } = node as { properties?: Record<string, unknown> };
    for (const key of Object.keys(properties ?? {})) keys.add(key);
    for (const child of Object.values(node)) collect(child);
  };
  collect(nativeJsonSchema());
  const text = page("mesh-yaml.md");
  expect([...keys].filter((key) => !text.includes(`\`${key}\``))).toEqual([]);
});
