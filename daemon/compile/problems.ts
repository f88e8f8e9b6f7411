// The diagnostics of compile: what only the World brings to light. Names that compose's files can prove wrong are the
// loader's (daemon/spec); where both see the same problem, both use the loader's code and place, and one is shown.
import type { Diagnostic } from "../spec/diagnostic.ts";
import type { Origin } from "../spec/spec.ts";

/** Stable codes; docs/diagnostics.md lists them. DM14xx are compile's own, the others are the loader's too. */
export const compileCodes = {
  unknownService: "DM1114",
  noEffect: "DM1121",
  missingVersion: "DM1123",
  unknownHost: "DM1210",
  unknownSubset: "DM1211",
  hostBoundTwice: "DM1213",
  routedTwice: "DM1214",
  notMeshed: "DM1401",
  noPort: "DM1402",
  emptySubset: "DM1403",
  noAddressLeft: "DM1404",
  openPort: "DM1405",
  label: "DM1406",
} as const;

export type CompileCode = keyof typeof compileCodes;

export interface Problems {
  add(
    severity: Diagnostic["severity"],
    code: CompileCode,
    origin: Origin,
    text: { message: string; hint?: string },
  ): void;
  /** In the order of the files. */
  sorted(): readonly Diagnostic[];
}

export function collectProblems(): Problems {
  const found: Diagnostic[] = [];
  return {
    add: (severity, code, { file, line, column }, { message, hint = "" }) => {
      found.push({ severity, code: compileCodes[code], message, hint, file, line, column });
    },
    sorted: () => mergeDiagnostics(found, []),
  };
}

/** What the loader and compile found, in the order of the files; one problem that both see at one place is shown once. */
export function mergeDiagnostics(
  loaded: readonly Diagnostic[],
  compiled: readonly Diagnostic[],
): readonly Diagnostic[] {
  const place = ({ code, file, line, column }: Diagnostic) => `${code} ${line} ${column} ${file}`;
  const seen = new Set(loaded.map(place));
  const all = [...loaded, ...compiled.filter((diagnostic) => !seen.has(place(diagnostic)))];
  return all.sort(
    (a, b) =>
      compareText(a.file, b.file) || a.line - b.line || a.column - b.column || compareText(a.message, b.message),
  );
}

/** Order of code units: the same on every machine, unlike localeCompare. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

export function listed(names: Iterable<string>): string {
  const all = [...names].sort(compareText);
  const shown = all.slice(0, 12).join(", ");
  return all.length > 12 ? `${shown}, ...` : shown;
}
