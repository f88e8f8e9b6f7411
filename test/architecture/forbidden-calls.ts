// Calls that the style forbids and that the linter has no rule for. Pure.
import { lineAt, maskSource } from "./mask-source.ts";
import type { SourceFile } from "./source-tree.ts";

/** The mesh's two programs, and the shop's one way to end, since it is not part of the mesh. */
const mayExit: ReadonlySet<string> = new Set(["cli/main.ts", "proxy/main.ts", "sample-shop/shared/lifetime.ts"]);

interface Rule {
  readonly pattern: RegExp;
  readonly why: string;
  isAllowed(path: string): boolean;
}

const rules: readonly Rule[] = [
  {
    pattern: /(?<![\w$.])process\s*\??\.\s*(?:exit|reallyExit|abort)\b/g,
    why: "only the programs' main.ts end a process; throw, or return an exit code",
    isAllowed: (path) => mayExit.has(path),
  },
  {
    pattern: /\??\.\s*pipe\s*\(/g,
    why: "pipe forgets errors and never destroys; use stream.pipeline, or splice of proxy/tcp",
    isAllowed: () => false,
  },
];

/** One sentence for each call. */
export function forbiddenCalls(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const code = maskSource(text);
    return rules
      .filter((rule) => !rule.isAllowed(path))
      .flatMap(({ pattern, why }) =>
        [...code.matchAll(pattern)].map((match) => `${path}:${lineAt(text, match.index)} ${match[0].trim()}: ${why}`),
      );
  });
}
