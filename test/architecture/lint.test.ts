// Sizes and forbidden syntax are the linter's rules (biome.json). This runs them where tests run, and plants a
// violation of each, so that a rule that is switched off or renamed is noticed.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readSources, repository, sourceFolders } from "./source-tree.ts";

const sizeRules = [
  "complexity/noExcessiveLinesPerFunction",
  "complexity/useMaxParams",
  "style/noExcessiveLinesPerFile",
] as const;

/** One line a finding: "./daemon/a.ts:1:1: lint/complexity/useMaxParams: ...". */
function lint(cwd: string, args: readonly string[]): string[] {
  const biome = join(repository, "node_modules/@biomejs/biome/bin/biome");
  const flags = ["lint", "--reporter=concise", "--max-diagnostics=none", "--colors=off"];
  const { stdout, stderr, error } = spawnSync(process.execPath, [biome, ...flags, ...args], { cwd, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (!/Checked \d+ files? in/.test(stdout + stderr)) throw new Error(`the linter did not run:\n${stdout}${stderr}`);
  return `${stdout}${stderr}`.split("\n").filter((line) => line.includes(": lint/"));
}

test("no file is over 400 lines, no function over 70, none takes more than 4 parameters", () => {
  const only = sizeRules.map((rule) => `--only=${rule}`);
  expect(lint(repository, [...only, ...sourceFolders, "scripts"])).toEqual([]);
});

test("no comment switches the sizes off", () => {
  const pattern = /biome-ignore\S*\s+(?:lint\s*:|lint\/complexity\/noExcessiveLines|lint\/style\/noExcessiveLines)/;
  expect(readSources().flatMap(({ path, text }) => (pattern.test(text) ? [path] : []))).toEqual([]);
});

const lines = (count: number, line: string) => Array.from({ length: count }, () => `${line}\n`).join("");
const functionOf = (bodyLines: number) =>
  `export function f(a: number): number {\n  let b = a;\n${lines(bodyLines - 2, "  b += 1;")}  return b;\n}\n`;

const planted: readonly (readonly [why: string, file: string, rule: string, text: string])[] = [
  ["a function of 71 lines", "daemon/a.ts", sizeRules[0], functionOf(71)],
  [
    "five parameters",
    "daemon/b.ts",
    sizeRules[1],
    "export const f = (...a: number[]) => a;\nexport function g(a: 1, b: 1, c: 1, d: 1, e: 1) {\n  return f(a, b, c, d, e);\n}\n",
  ],
  ["a file of 401 lines", "proxy/c.ts", sizeRules[2], lines(401, "export {};")],
  ["any", "cli/d.ts", "suspicious/noExplicitAny", "export const a: any = 1;\n"],
  ["a non-null assertion", "cli/e.ts", "style/noNonNullAssertion", "export const a = [1][0]!;\n"],
  ["a default export", "cli/f.ts", "style/noDefaultExport", "export default 1;\n"],
  ["an enum", "cli/g.ts", "style/noEnum", "export enum A {\n  B,\n}\n"],
  ["an empty catch", "cli/h.ts", "suspicious/noEmptyBlockStatements", "try {\n  f();\n} catch {}\n"],
  [
    "a type that is imported as a value",
    "cli/i.ts",
    "style/useImportType",
    'import { A } from "./a.ts";\nexport type B = A;\n',
  ],
];

const state = { folder: "", findings: [] as string[] };

beforeAll(() => {
  state.folder = mkdtempSync(join(tmpdir(), "devmesh-lint-"));
  // The repository's own rules, without its git settings: the folder is no checkout.
  const { vcs: _vcs, ...config } = JSON.parse(readFileSync(join(repository, "biome.json"), "utf8"));
  writeFileSync(join(state.folder, "biome.json"), JSON.stringify(config));
  const allowed = [
    ["daemon/allowed.ts", functionOf(70)],
    ["proxy/allowed.ts", lines(400, "export {};")],
  ] as const;
  for (const [file, text] of [...allowed, ...planted.map(([, file, , text]) => [file, text] as const)]) {
    mkdirSync(join(state.folder, file, ".."), { recursive: true });
    writeFileSync(join(state.folder, file), text);
  }
  state.findings = lint(state.folder, ["."]);
});

afterAll(() => rmSync(state.folder, { recursive: true, force: true }));

test.each(planted)("the linter refuses %s", (_why, file, rule) => {
  const own = state.findings.filter((line) => line.includes(file));
  expect(own.filter((line) => line.includes(`lint/${rule}`) && line.startsWith("×"))).not.toEqual([]);
});

test("the linter takes what is just within the sizes", () => {
  const own = state.findings.filter((line) => line.includes("allowed.ts"));
  expect(own.filter((line) => sizeRules.some((rule) => line.includes(rule)))).toEqual([]);
});
