import { expect, test } from "vitest";
import { maskSource } from "./mask-source.ts";
import { readImports } from "./read-imports.ts";

test.each([
  ["a default import", 'import net from "node:net";', "static node:net"],
  ["named imports over lines", 'import {\n  a,\n  type B,\n} from "./a.ts";', "static ./a.ts"],
  ["everything under a name", 'import * as x509 from "@peculiar/x509";', "static @peculiar/x509"],
  ["an import for its effect", 'import "./reflect.ts";', "static ./reflect.ts"],
  ["single quotes", "import { a } from './a.ts';", "static ./a.ts"],
  ["no blanks at all", 'import{a}from"./a.ts"', "static ./a.ts"],
  ["types", 'import type { A } from "./a.ts";', "type ./a.ts"],
  ["a default type", 'import type A from "./a.ts";', "type ./a.ts"],
  ["a value that is called type", 'import type from "./a.ts";', "static ./a.ts"],
  ["a value called type, and another", 'import type, { a } from "./a.ts";', "static ./a.ts"],
  ["types inside of braces, which stay at run time", 'import { type A } from "./a.ts";', "static ./a.ts"],
  ["an export from", 'export { a } from "./a.ts";', "static ./a.ts"],
  ["an export of types from", 'export type { A } from "./a.ts";', "type ./a.ts"],
  ["an export of everything", 'export * from "./a.ts";', "static ./a.ts"],
  ["an export of everything under a name", 'export * as a from "./a.ts";', "static ./a.ts"],
  ["a dynamic import", 'const { up } = await import("./up.ts");', "dynamic ./up.ts"],
  ["a dynamic import over lines", 'await import(\n  "./up.ts"\n);', "dynamic ./up.ts"],
  ["a dynamic import in a template", "const a = `${await import('./a.ts')}`;", "dynamic ./a.ts"],
  ["a computed import", "await import(name);", "dynamic null"],
  ["an import of a template", "await import(`./${name}.ts`);", "dynamic null"],
  ["require", 'const koffi = require("koffi");', "dynamic koffi"],
  ["a type query", 'type A = typeof import("./a.ts");', "type ./a.ts"],
  ["a comment between", 'import /* why "not" */ { a } from "./a.ts"; // import "./b.ts"', "static ./a.ts"],
  ["two in one line", 'import "./a.ts"; import type { B } from "./b.ts";', "static ./a.ts, type ./b.ts"],
])("reads %s", (_why, source, expected) => {
  const found = readImports(source).map(({ kind, specifier }) => `${kind} ${specifier}`);
  expect(found.join(", ")).toBe(expected);
});

test.each([
  ["an import in a string", `const text = 'import "./a.ts"';`],
  ["an import in a line comment", '// import "./a.ts";'],
  ["an import in a block comment", '/*\n import "./a.ts";\n*/'],
  ["an import in a template", 'const text = `import "./a.ts"; ${"import x from"}`;'],
  ["an import in a regular expression", 'const re = /import "(.*)"/g;'],
  ["a method called import", 'table.import("./a.ts");'],
  ["a private method called import", 'this.#import("./a.ts");'],
  ["another word that ends in require", 'createRequire("./a.ts");'],
  ["import.meta", "const here = import.meta.dirname;"],
  ["an export with a string in it", 'export const from = "./a.ts";'],
  ["an export of names only", 'export { a };\nconst b = "./a.ts";'],
  ["a property called import", 'const a = { import: "./a.ts" };'],
])("does not take %s for an import", (_why, source) => {
  expect(readImports(source)).toEqual([]);
});

test("says the line of each import", () => {
  const source = '// One.\nimport "./a.ts";\n\nimport {\n  b,\n} from "./b.ts";\n';
  expect(readImports(source).map(({ line }) => line)).toEqual([2, 4]);
});

test.each([
  ["a quote in a regular expression", 'const quote = /"/; f();', "const quote =    ; f();"],
  ["a slash in a character class", "const s = /[/]/; f();", "const s =      ; f();"],
  ["a division", 'const a = b / c / d; f("/");', 'const a = b / c / d; f(" ");'],
  ["a division after ++", "const a = b++ / c; g(/x/);", "const a = b++ / c; g(   );"],
  ["a regular expression after return", 'return /"/.test(a);', "return    .test(a);"],
  ["an escaped quote", '"a\\"b" + c', '"    " + c'],
  ["a comment that looks like a string's end", "'// no' + /* \" */ a", '"     " +         a'],
  ["a nested template", "`a ${b ? `${c}` : { d }} e` + f", "     b ?    c   : { d }     + f"],
  ["a dollar that opens nothing", "`$5 ${a}$` + b", "      a    + b"],
])("masks %s without losing its place", (_why, source, expected) => {
  const masked = maskSource(source);
  expect(masked.trimEnd()).toBe(expected.trimEnd());
  expect(masked.length).toBe(source.length);
});
