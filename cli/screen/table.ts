// Columns of text, folded and cut to a width. Works on plain text; colour is put on whole lines or cells by the caller.

export interface Column<T> {
  readonly title: string;
  /** Where there is no room: which column goes first, the lowest; none goes that has no number. */
  readonly fold?: number;
  readonly isRight?: boolean;
  text(row: T): string;
}

const gap = "  ";

/** Title line and one line a row; columns are as wide as their widest cell, two blanks apart. */
export function tableLines<T>(columns: readonly Column<T>[], rows: readonly T[], width = 200): string[] {
  const all = columns.map((column) => {
    const cells = [column.title, ...rows.map((row) => printable(column.text(row)))];
    const widest = Math.max(...cells.map((cell) => cell.length));
    return { fold: column.fold, width: widest, cells: cells.map((cell) => padded(cell, widest, column.isRight)) };
  });
  const shown = fitting(all, width);
  return [...rows.keys(), rows.length].map((i) => {
    const line = shown.map(({ cells }) => cells[i] ?? "").join(gap);
    return line.slice(0, width).trimEnd();
  });
}

function padded(cell: string, width: number, isRight = false): string {
  return isRight ? cell.padStart(width) : cell.padEnd(width);
}

/** Leaves out columns until the rest fits, or none is left that may go. */
function fitting<C extends { readonly fold: number | undefined; readonly width: number }>(
  columns: readonly C[],
  width: number,
): readonly C[] {
  const total = columns.reduce((sum, column) => sum + column.width + gap.length, -gap.length);
  const [first] = columns.filter(({ fold }) => fold !== undefined).sort((a, b) => (a.fold ?? 0) - (b.fold ?? 0));
  if (total <= width || first === undefined) return columns;
  return fitting(
    columns.filter((column) => column !== first),
    width,
  );
}

/** A text in lines of at most `columns`, broken between words where that is possible; further lines are indented. */
export function foldedLines(text: string, columns: number): string[] {
  const width = Math.max(1, columns);
  const indent = width > 20 ? "  " : "";
  const lines: string[] = [];
  let rest = text;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width);
    // A word that is longer than the line is cut.
    const cut = blank > indent.length ? blank : width;
    lines.push(rest.slice(0, cut).trimEnd());
    rest = indent + rest.slice(cut).trimStart();
  }
  return [...lines, rest];
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
