import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { folderOf, layers, layerViolations, loadedWith } from "./layers.ts";
import { edgesOf, readSources, repository } from "./source-tree.ts";

const sources = readSources();
const edges = edgesOf(sources);
const planted = (path: string, text: string) => layerViolations(edgesOf([{ path, text }]));

test("every import follows the directions of ARCHITECTURE.md", () => {
  expect(layerViolations(edges)).toEqual([]);
});

test("the walk sees the whole source", () => {
  expect(sources.length).toBeGreaterThan(200);
  expect(edges.filter(({ kind }) => kind === "dynamic").length).toBeGreaterThan(5);
});

test("every relative import leads to a file that is there", () => {
  const paths = new Set(sources.map(({ path }) => path));
  expect(edges.filter(({ to }) => to?.endsWith(".ts") === true && !paths.has(to))).toEqual([]);
});

test.each([
  ["the CLI into Docker's edge", "cli/commands/up.ts", 'import { planActions } from "../../daemon/docker/plan.ts";'],
  ["the CLI into the proxy", "cli/main.ts", 'import type { ProxyConfig } from "../proxy/contract/config.ts";'],
  ["the CLI into the daemon's main, at once", "cli/main.ts", 'import { daemonMain } from "../daemon/main.ts";'],
  ["another file into the daemon's main", "cli/commands/up.ts", 'await import("../../daemon/main.ts");'],
  ["the daemon into the proxy's inside", "daemon/push/fleet.ts", 'import { Engine } from "../../proxy/engine.ts";'],
  ["the daemon into the CLI", "daemon/loop.ts", 'import { version } from "../cli/version.ts";'],
  ["the proxy into the daemon", "proxy/route/decide.ts", 'import type { Spec } from "../../daemon/spec/spec.ts";'],
  ["the contract into the proxy", "proxy/contract/config.ts", 'import type { Table } from "../route/table.ts";'],
  ["a codec into routing", "proxy/http1/pool.ts", 'import type { Routing } from "../route/routing.ts";'],
  ["compile into Spec's code", "daemon/compile/ports.ts", 'import { loadSpec } from "../spec/load.ts";'],
  ["compile, by an export", "daemon/compile/ports.ts", 'export { loadSpec } from "../spec/load.ts";'],
  ["Spec into Docker", "daemon/spec/load.ts", 'import type { World } from "../docker/world.ts";'],
  ["the shop into the mesh", "sample-shop/cart/main.ts", 'import { splice } from "../../proxy/tcp/splice.ts";'],
  ["one shop service into another", "sample-shop/cart/main.ts", 'import { page } from "../website/page.ts";'],
  ["source into tests", "daemon/loop.ts", 'import { eventually } from "../test/support/eventually.ts";'],
  ["a package through another door", "daemon/push/fleet.ts", 'import { watch } from "blessed";'],
  ["a package's inside through another door", "cli/main.ts", 'import x from "blessed/lib/widget.js";'],
  ["a package that nobody owns", "proxy/engine.ts", 'import _ from "lodash";'],
  ["process by another name", "daemon/loop.ts", 'import { exit } from "node:process";'],
  ["a name that is computed", "cli/main.ts", "await import(name);"],
  ["a new folder that nobody listed", "daemon/magic/wand.ts", 'import { a } from "./a.ts";\nimport "./b.ts";'],
])("refuses %s", (_why, path, text) => {
  expect(planted(path, text).length).toBeGreaterThan(0);
});

test("says where, what and what would be right", () => {
  const text = '// Pure.\nimport { loadSpec } from "../spec/load.ts";\n';
  expect(planted("daemon/compile/ports.ts", text)).toEqual([
    "daemon/compile/ports.ts:2 imports daemon/spec/load.ts: daemon/compile may only `import type` from daemon/spec",
  ]);
});

test.each([
  ["the hidden command that is the daemon", "cli/main.ts", 'await import("../daemon/main.ts");'],
  ["types of Spec in compile", "daemon/compile/ports.ts", 'import type { Spec } from "../spec/spec.ts";'],
  ["the contract's functions in compile", "daemon/compile/a.ts", 'import { a } from "../../proxy/contract/diff.ts";'],
  ["a folder below", "daemon/spec/load.ts", 'import { build } from "./native/build.ts";'],
  ["the folder above", "daemon/spec/native/build.ts", 'import { findings } from "../findings.ts";'],
  ["built-in modules", "proxy/engine.ts", 'import net from "node:net";'],
])("allows %s", (_why, path, text) => {
  expect(planted(path, text)).toEqual([]);
});

test("the table names exactly the folders that are there", () => {
  const found = new Set(sources.map(({ path }) => folderOf(path)));
  expect(Object.keys(layers).sort()).toEqual([...found].sort());
});

test("ARCHITECTURE.md's map names every folder", () => {
  const map = readFileSync(join(repository, "ARCHITECTURE.md"), "utf8");
  expect(Object.keys(layers).filter((folder) => !map.includes(`${folder}/`))).toEqual([]);
});

test("the command line starts without loading anything heavy", () => {
  const packages = [...loadedWith("cli/main.ts", edges)].filter(
    (name) => !name.includes(".ts") && !name.startsWith("node:"),
  );
  expect(packages).toEqual(["commander"]);
});

test("what a file loads is followed through static imports only", () => {
  const files = [
    {
      path: "cli/main.ts",
      text: 'import "./output.ts";\nawait import("./screen/live.ts");\nimport type { A } from "./a.ts";',
    },
    { path: "cli/output.ts", text: 'export * from "./paint.ts";' },
    { path: "cli/paint.ts", text: 'import "blessed";' },
  ];
  expect([...loadedWith("cli/main.ts", edgesOf(files))]).toEqual([
    "cli/main.ts",
    "cli/output.ts",
    "cli/paint.ts",
    "blessed",
  ]);
});

test("nothing is installed with devmesh: what it needs is in its bundles", () => {
  const { dependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  expect(dependencies).toBeUndefined();
});

test("every package of package.json is a tool, imported by something that ships, or on its way in", () => {
  const { devDependencies } = JSON.parse(readFileSync(join(repository, "package.json"), "utf8"));
  const tools = /^(@types\/.*|@biomejs\/biome|devmesh-runtime|esbuild|fast-check|playwright-core|typescript|vitest)$/;
  const imported = new Set(edges.map(({ to }) => to));
  // RequestAuthentication, a later slice, checks tokens with jose.
  const awaited = ["jose"];
  const unused = Object.keys(devDependencies).filter(
    (name) => !tools.test(name) && !imported.has(name) && !awaited.includes(name),
  );
  expect(unused).toEqual([]);
});

test("tests lie where their source lies", () => {
  const folders = readdirSync(join(repository, "test"), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const known = [
    "architecture",
    "bench",
    "cli",
    "daemon",
    "docker",
    "foreign",
    "golden",
    "long",
    "proxy",
    "sample-shop",
    "scripts",
    "soak",
    "support",
  ];
  expect(folders.map(({ name }) => name).filter((name) => !known.includes(name))).toEqual([]);
});
