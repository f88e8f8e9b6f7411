// Reads the tables of a Markdown page, so that a page and the code can be held equal.

/** Cells of each body row, in order; of the table whose header begins with these titles. */
export function tableRows(page: string, titles: readonly string[]): string[][] {
  const lines = page.split("\n").map(cellsOf);
  const header = lines.findIndex((cells) => titles.every((title, i) => cells[i] === title) && cells.length > 0);
  if (header < 0) throw new Error(`the page has no table with the columns ${titles.join(", ")}`);
  const body = lines.slice(header + 2);
  const end = body.findIndex((cells) => cells.length === 0);
  return end < 0 ? body : body.slice(0, end);
}

function cellsOf(line: string): string[] {
  if (!line.startsWith("|")) return [];
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim());
}
