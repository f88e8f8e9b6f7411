import { expect, test } from "vitest";
import { forbiddenCalls } from "./forbidden-calls.ts";
import { readSources } from "./source-tree.ts";

test("nothing but a program's main.ts exits, and nothing pipes", () => {
  expect(forbiddenCalls(readSources())).toEqual([]);
});

test.each([
  ["an exit in a command", "cli/commands/up.ts", "process.exit(1);"],
  ["an exit handed on", "cli/commands/up.ts", "promise.then(process.exit);"],
  ["an exit over lines", "daemon/loop.ts", "process\n  .exit(1);"],
  ["an abort", "daemon/loop.ts", "process.abort();"],
  ["a pipe", "proxy/tcp/splice.ts", "a.pipe(b);"],
  ["a pipe over lines", "cli/main.ts", "a\n  .pipe(b);"],
  ["a pipe in a template", "cli/main.ts", "const a = `${b.pipe(c)}`;"],
])("finds %s", (_why, path, text) => {
  expect(forbiddenCalls([{ path, text }])).toHaveLength(1);
});

test.each([
  ["an exit where programs end", "cli/main.ts", "process.exit(0);"],
  ["an exit in a comment", "daemon/loop.ts", "// Never process.exit(1) here."],
  ["an exit in a string", "daemon/loop.ts", 'log("process.exit(1)");'],
  ["an exit code", "daemon/loop.ts", "process.exitCode = 1;"],
  ["somebody else's exit", "daemon/loop.ts", "child.process.exit(1);"],
  ["pipeline", "proxy/tcp/splice.ts", "await pipeline(a, b); stream.pipeline(a, b);"],
])("lets %s be", (_why, path, text) => {
  expect(forbiddenCalls([{ path, text }])).toEqual([]);
});

test("says where", () => {
  const text = "// Line one.\nprocess.exit(1);\n";
  expect(forbiddenCalls([{ path: "daemon/loop.ts", text }])[0]).toMatch(/^daemon\/loop\.ts:2 process\.exit: /);
});
