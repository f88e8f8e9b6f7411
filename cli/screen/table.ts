// Columns of text, cut to a width. Works on plain text; colour is put on whole lines or cells by the caller.

export interface Column<T> {
  readonly title: string;
  readonly isRight?: boolean;
  text(row: T): string;
}

/** Title line and one line a row; columns are as wide as their widest cell, two blanks apart. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[], width = 200): string[] {
  const cells = [
    columns.map((column) => column.title),
    ...rows.map((row) => columns.map((column) => printable(column.text(row)))),
  ];
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => (line[i] ?? "").length)));
  return cells.map((line) =>
    line
      .map((cell, i) => (columns[i]?.isRight === true ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .slice(0, width)
      .trimEnd(),
  );
}

/**
 * Names come from containers and peers, texts from files of others: nothing that moves the cursor, turns the writing round or
 * has no width may reach the terminal.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g, "?");
}

/** The same for a text of several lines. */
export function printableLines(text: string): string {
  return text.replaceAll("\t", "    ").split("\n").map(printable).join("\n");
}
