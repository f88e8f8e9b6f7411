// What a case measures, and how it is judged and shown.
import { percentile } from "../support/edits.ts";

export interface Measurement {
  readonly what: string;
  readonly unit: "ms";
  readonly values: readonly number[];
  /** No value may be above it; null: only shown. */
  readonly bar: number | null;
}

export interface BenchCase {
  readonly name: string;
  /** One line for --help. */
  readonly about: string;
  /** Unless --rounds says otherwise. */
  readonly rounds: number;
  run(rounds: number, say: (text: string) => void): Promise<readonly Measurement[]>;
}

export interface Row {
  readonly case: string;
  readonly what: string;
  readonly unit: string;
  readonly n: number;
  readonly p50: number;
  readonly max: number;
  readonly bar: number | null;
  readonly isMissed: boolean;
}

export function rowOf(name: string, { what, unit, values, bar }: Measurement): Row {
  const max = values.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...values);
  const isMissed = bar !== null && max > bar;
  return { case: name, what, unit, n: values.length, p50: percentile(values, 0.5), max, bar, isMissed };
}

export function tableOf(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    row.case,
    row.what,
    String(row.n),
    `${Math.round(row.p50)} ${row.unit}`,
    `${Math.round(row.max)} ${row.unit}`,
    row.bar === null ? "-" : `${row.bar} ${row.unit}`,
    row.bar === null ? "" : row.isMissed ? "MISSED" : "ok",
  ]);
  const all = [["case", "what", "n", "p50", "max", "bar", ""], ...cells];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  return all
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
