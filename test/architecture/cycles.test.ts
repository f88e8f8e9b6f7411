import { expect, test } from "vitest";
import { cyclesOf, fileGraph, folderGraph } from "./cycles.ts";
import { edgesOf, readSources } from "./source-tree.ts";

const edges = edgesOf(readSources());

test("no file imports itself in a circle at run time", () => {
  expect(cyclesOf(fileGraph(edges, ["static", "dynamic"]))).toEqual([]);
});

test("no folder of daemon and proxy imports itself in a circle at run time", () => {
  const own = edges.filter(({ from }) => from.startsWith("daemon/") || from.startsWith("proxy/"));
  expect(cyclesOf(folderGraph(own, ["static", "dynamic"]))).toEqual([]);
});

test("folders that name each other's types are these and no more", () => {
  const own = edges.filter(({ from }) => from.startsWith("daemon/") || from.startsWith("proxy/"));
  expect(cyclesOf(folderGraph(own, ["static", "dynamic", "type"]))).toEqual([
    // The API shows Diagnostics; reading mesh.yaml throws the API's Problem where there is none to read.
    "daemon/api <-> daemon/spec",
    // A route picks Targets, and what upstream offers are Targets.
    "proxy/route <-> proxy/upstream",
  ]);
});

test.each([
  ["two files", { "proxy/tls/a.ts": "./b.ts", "proxy/tls/b.ts": "./a.ts" }, ["proxy/tls/a.ts <-> proxy/tls/b.ts"]],
  [
    "three files over folders",
    { "daemon/a.ts": "./ca/b.ts", "daemon/ca/b.ts": "../push/c.ts", "daemon/push/c.ts": "../a.ts" },
    ["daemon/a.ts <-> daemon/ca/b.ts <-> daemon/push/c.ts"],
  ],
  ["no circle where two lead to one", { "proxy/a.ts": "./c.ts", "proxy/b.ts": "./c.ts", "proxy/c.ts": "node:net" }, []],
])("finds %s", (_why, imports, expected) => {
  const files = Object.entries(imports).map(([path, to]) => ({ path, text: `import "${to}";` }));
  expect(cyclesOf(fileGraph(edgesOf(files), ["static"]))).toEqual(expected);
});

test("finds a circle of folders that is none of files", () => {
  const files = [
    { path: "proxy/tls/a.ts", text: 'import "../tcp/a.ts";' },
    { path: "proxy/tcp/a.ts", text: "" },
    { path: "proxy/tcp/b.ts", text: 'import "../tls/b.ts";' },
    { path: "proxy/tls/b.ts", text: "" },
  ];
  expect(cyclesOf(fileGraph(edgesOf(files), ["static"]))).toEqual([]);
  expect(cyclesOf(folderGraph(edgesOf(files), ["static"]))).toEqual(["proxy/tcp <-> proxy/tls"]);
});
