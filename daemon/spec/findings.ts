// Collects the problems of one reading: all of them, in the order of the file, at most a fixed number.
import type { DiagnosticCode } from "./codes.ts";
import type { Diagnostic } from "./diagnostic.ts";
import type { Origin } from "./spec.ts";

/** More than these say nothing new, and a hostile file could make a hundred thousand. */
export const diagnosticsMax = 100;

export interface Findings {
  error(code: DiagnosticCode, at: Origin, message: string, hint?: string): void;
  warning(code: DiagnosticCode, at: Origin, message: string, hint?: string): void;
  hasErrors(): boolean;
  /** By position; errors before warnings at the same place; the same problem once. */
  list(): readonly Diagnostic[];
}

export function createFindings(file: string): Findings {
  const found = new Map<string, Diagnostic>();
  const dropped = { error: 0, warning: 0 };
  const add = (severity: "error" | "warning", code: DiagnosticCode, at: Origin, rest: [string, string | undefined]) => {
    const [message, hint] = rest;
    const { line, column } = at;
    const key = `${line}:${column}:${code}:${message}`;
    if (found.has(key)) return;
    if (found.size >= diagnosticsMax) dropped[severity] += 1;
    else found.set(key, { severity, code, message, hint: hint ?? "", file: at.file, line, column });
  };
  return {
    error: (code, at, message, hint) => add("error", code, at, [message, hint]),
    warning: (code, at, message, hint) => add("warning", code, at, [message, hint]),
    hasErrors: () => dropped.error > 0 || [...found.values()].some(({ severity }) => severity === "error"),
    list() {
      const sorted = [...found.values()].sort(byPosition);
      const more = dropped.error + dropped.warning;
      if (more > 0) sorted.push(cutOff(file, more, dropped.error > 0));
      return sorted;
    },
  };
}

function byPosition(a: Diagnostic, b: Diagnostic): number {
  return a.line - b.line || a.column - b.column || a.severity.localeCompare(b.severity);
}

function cutOff(file: string, more: number, hasErrors: boolean): Diagnostic {
  const severity = hasErrors ? "error" : "warning";
  const message = `${more} more ${more === 1 ? "problem is" : "problems are"} not shown`;
  return { severity, code: "DM1014", message, hint: "mend the ones above first", file, line: 0, column: 0 };
}
