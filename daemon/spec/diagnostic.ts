// A problem in what the user wrote: a value, never thrown, and all of them at once.

export interface Diagnostic {
  readonly severity: "error" | "warning";
  /** Stable, listed in docs/diagnostics.md: "DM1001". */
  readonly code: string;
  readonly message: string;
  /** What to do next, or "". */
  readonly hint: string;
  readonly file: string;
  /** 1-based; 0 when the problem is the file itself. */
  readonly line: number;
  readonly column: number;
}

/** mesh.yaml:12:7 error: split names v3, but payment has v1, v2 (DM1103)\n  hint: ... */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, severity, message, code, hint } = diagnostic;
  const where = line > 0 ? `${file}:${line}:${column}` : file;
  return `${where} ${severity}: ${message} (${code})${hint === "" ? "" : `\n  hint: ${hint}`}`;
}
