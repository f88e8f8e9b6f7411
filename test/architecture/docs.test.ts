// Pages that list what the code has, held equal to it.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { exitCodes, problemCodes } from "../../daemon/api/problem.ts";
import { checkIds } from "../../daemon/doctor/finding.ts";
import { tableRows } from "./doc-tables.ts";
import { readSources, repository } from "./source-tree.ts";

const read = (path: string) => readFileSync(join(repository, path), "utf8");

test("docs/exit-codes.md lists exactly the exit codes", () => {
  const rows = tableRows(read("docs/exit-codes.md"), ["code", "name", "means"]);
  expect(rows.map(([code, name]) => [name, Number(code)])).toEqual(Object.entries(exitCodes));
});

test("docs/exit-codes.md lists exactly the problem codes, each with its exit code", () => {
  const rows = tableRows(read("docs/exit-codes.md"), ["code", "exit code", "means"]);
  expect(rows.map(([code, exitCode]) => [code, exitCode])).toEqual(Object.entries(problemCodes));
});

test("--help lists every exit code", () => {
  const help = /Exit codes:([^`]*)`/.exec(read("cli/main.ts"))?.[1] ?? "";
  const listed = [...help.matchAll(/(?:^|·)\s*(\d+) /gm)].map((match) => Number(match[1]));
  expect(listed).toEqual(Object.values(exitCodes));
});

test("docs/cli.md lists every command and every flag of cli/main.ts", () => {
  const source = read("cli/main.ts");
  const page = read("docs/cli.md");
  const commands = [...source.matchAll(/\.command\("(\w+)[^"]*"(, \{ hidden: true \})?/g)];
  const visible = commands.filter(([, , hidden]) => hidden === undefined).map(([, name]) => name);
  expect(tableRows(page, ["command", "does"]).map(([cell]) => /\w+/.exec(cell ?? "")?.[0])).toEqual(
    expect.arrayContaining(visible),
  );
  const flags = [...source.matchAll(/\.option\("(?:-\w, )?(--[\w-]+)/g)].map((match) => match[1] ?? "");
  expect(flags.filter((flag) => !page.includes(flag))).toEqual([]);
});

test("docs/cli.md lists exactly the doctor's checks", () => {
  const rows = tableRows(read("docs/cli.md"), ["check", "proves"]);
  expect(rows.map(([cell]) => cell?.replaceAll("`", "")).sort()).toEqual([...checkIds].sort());
});

test("docs/cli.md lists exactly the variables of ours that the code reads", () => {
  const page = read("docs/cli.md");
  // DEVMESH_OPTIONS is how the daemon starts a proxy; the images are the demo's way to its own shop.
  const internal = new Set(["DEVMESH_OPTIONS", "DEVMESH_SHOP_IMAGE", "DEVMESH_REDIS_IMAGE"]);
  const pattern = /\bDEVMESH_[A-Z_]+[A-Z]\b/g;
  const used = new Set(readSources(["cli", "daemon", "proxy"]).flatMap(({ text }) => text.match(pattern) ?? []));
  const listed = tableRows(page, ["variable", "means"]).flatMap(([cell]) => cell?.match(pattern) ?? []);
  expect(listed.sort()).toEqual([...used].filter((name) => !internal.has(name)).sort());
});

const pages = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"].concat(
  readdirSync(join(repository, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => join("docs", name)),
);

test.each(pages)("%s links only to files that are there", (page) => {
  const links = [...read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? "");
  const own = links.filter((link) => !/^[a-z]+:/.test(link));
  expect(own.filter((link) => !existsSync(join(repository, dirname(page), link)))).toEqual([]);
});

test.each(pages)("%s names only source files that are there", (page) => {
  const pattern =
    /(?<![\w/.-])(?:cli|daemon|proxy|sample-shop|scripts|compose|test)\/[\w/.-]+\.(?:ts|mjs|yaml|Dockerfile)\b/g;
  const named = [...new Set(read(page).match(pattern) ?? [])];
  expect(named.filter((path) => !existsSync(join(repository, path)))).toEqual([]);
});

test("a table is read to its last row, whatever stands around it", () => {
  const page =
    "# A\n\n| x | y |\n|---|---|\n| 0 | no |\n\n| code | name |\n|---|---|\n| 1 | a \\| b |\n| 2 | c |\n\nText.";
  expect(tableRows(page, ["code", "name"])).toEqual([
    ["1", "a \\| b"],
    ["2", "c"],
  ]);
  expect(() => tableRows(page, ["none"])).toThrow("no table");
});

test("a code that is missing from a page, or too many on it, is a difference", () => {
  const page = read("docs/exit-codes.md");
  const rows = (text: string) => tableRows(text, ["code", "exit code", "means"]).map(([code]) => code);
  expect(rows(page.replace(/\| DM0301 .*\n/, ""))).not.toEqual(Object.keys(problemCodes));
  expect(rows(page.replace("| DM0301 |", "| DM0999 |"))).not.toEqual(Object.keys(problemCodes));
});
