// What the commands print with: data on stdout, everything else on stderr; colour only where a person looks.
import type { Diagnostic } from "../daemon/spec/diagnostic.ts";
import { formatDiagnostic } from "../daemon/spec/diagnostic.ts";
import { printableLines } from "./screen/table.ts";

export interface Output {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  /** stdout is a terminal on which the live screen makes sense. */
  readonly isInteractive: boolean;
  /** For notes and diagnostics, as standard error takes colour. */
  readonly paint: Paint;
  /** For data, as standard output does: one may be a terminal and the other a pipe. */
  readonly dataPaint: Paint;
  /** A line of data. */
  data(text: string): void;
  /** A line for people. */
  note(text: string): void;
  diagnostic(diagnostic: Diagnostic): void;
}

export type Paint = Readonly<Record<"bold" | "dim" | "red" | "green" | "yellow" | "cyan", (text: string) => string>>;

const codes = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;

export interface OutputOptions {
  readonly isJson: boolean;
  readonly isQuiet: boolean;
  readonly isColourless: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
}

export function createOutput({ isJson, isQuiet, isColourless, env, stdout, stderr }: OutputOptions): Output {
  // A reader that has gone away (`| head`) ends the output, not with a stack trace.
  for (const stream of [stdout, stderr]) stream.on("error", () => undefined);
  const paintFor = (stream: NodeJS.WriteStream) => createPaint(!isColourless && hasColour(env, stream));
  const paint = paintFor(stderr);
  const note = (text: string) => {
    if (!isQuiet) stderr.write(`${text}\n`);
  };
  return {
    isJson,
    isQuiet,
    isInteractive: stdout.isTTY === true && !isJson && env.CI === undefined && env.TERM !== "dumb",
    paint,
    dataPaint: paintFor(stdout),
    data: (text) => {
      stdout.write(`${text}\n`);
    },
    note,
    diagnostic: (diagnostic) => {
      const colour = diagnostic.severity === "error" ? paint.red : paint.yellow;
      stderr.write(
        `${printableLines(formatDiagnostic(diagnostic)).replace(` ${diagnostic.severity}:`, colour(` ${diagnostic.severity}:`))}\n`,
      );
      if (env.GITHUB_ACTIONS === "true") stderr.write(`${githubAnnotation(diagnostic)}\n`);
    },
  };
}

/** https://no-color.org: any non-empty value. FORCE_COLOR wins over what the terminal says. */
export function hasColour(env: NodeJS.ProcessEnv, stream: { isTTY?: boolean }): boolean {
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== "") return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== "") return env.FORCE_COLOR !== "0";
  return stream.isTTY === true && env.TERM !== "dumb" && env.CI === undefined;
}

export function createPaint(isColoured: boolean): Paint {
  const wrap = (code: number) => (text: string) => (isColoured ? `\x1b[${code}m${text}\x1b[0m` : text);
  return {
    bold: wrap(codes.bold),
    dim: wrap(codes.dim),
    red: wrap(codes.red),
    green: wrap(codes.green),
    yellow: wrap(codes.yellow),
    cyan: wrap(codes.cyan),
  };
}

/** Escaped as GitHub's own toolkit does, so that no text becomes another command of the workflow. */
function githubAnnotation({ severity, file, line, column, message }: Diagnostic): string {
  const text = (value: string) => value.replaceAll("%", "%25").replaceAll("\r", "%0D").replaceAll("\n", "%0A");
  const property = (value: string) => text(value).replaceAll(":", "%3A").replaceAll(",", "%2C");
  return `::${severity} file=${property(file)},line=${line},col=${column}::${text(message)}`;
}

/** One line a step, with the time since the step before it. */
export class Steps {
  readonly #output: Output;
  #last = performance.now();

  constructor(output: Output) {
    this.#output = output;
  }

  done(text: string): void {
    const now = performance.now();
    const seconds = ((now - this.#last) / 1000).toFixed(1);
    this.#last = now;
    this.#output.note(`${this.#output.paint.green("ok")} ${text} ${this.#output.paint.dim(`${seconds} s`)}`);
  }
}
