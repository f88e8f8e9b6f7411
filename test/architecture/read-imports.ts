// What a TypeScript file imports, and how: read from its text, since TypeScript 7 has no JavaScript API.
import { lineAt, maskSource } from "./mask-source.ts";

export interface Import {
  /** As it is written; null: computed, so nobody can say what it is. */
  readonly specifier: string | null;
  /** `type` is gone at run time; `dynamic` is loaded when the code gets there. */
  readonly kind: "type" | "static" | "dynamic";
  /** 1-based. */
  readonly line: number;
}

// A name may follow a dot, so that `table.import("x")` and `#import(` are somebody's methods.
const importFrom = /(?<![.\w$#])import\b\s*(type\b(?!\s*(?:from\b|,|"))\s*)?(?:[\w$*\s{},]*?\bfrom\b\s*)?(")/g;
const exportFrom = /(?<![.\w$#])export\s+(type\b\s*)?(?:\*\s*(?:as\s+(?:[\w$]+|"\s*")\s*)?|\{[^{}]*\}\s*)from\b\s*(")/g;
const call = /(?<![.\w$#])(typeof\s+)?(?:import|require)\s*\(\s*(")?/g;

/** In the order of the text. An `import { type A }` counts as static: `verbatimModuleSyntax` keeps it at run time. */
export function readImports(source: string): Import[] {
  const code = maskSource(source);
  const at = (match: RegExpMatchArray, kind: Import["kind"], hasSpecifier = true): Import => {
    const end = (match.index ?? 0) + match[0].length;
    const specifier = hasSpecifier ? source.slice(end, code.indexOf('"', end)) : null;
    return { specifier, kind, line: lineAt(source, match.index ?? 0) };
  };
  const statements = [...code.matchAll(importFrom), ...code.matchAll(exportFrom)].map((match) =>
    at(match, match[1] === undefined ? "static" : "type"),
  );
  const calls = [...code.matchAll(call)].map((match) =>
    at(match, match[1] === undefined ? "dynamic" : "type", match[2] !== undefined),
  );
  return [...statements, ...calls].sort((a, b) => a.line - b.line);
}
