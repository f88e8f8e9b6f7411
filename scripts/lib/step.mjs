// One line per step of the set-up with its elapsed time; what the step's commands print goes to a log file.
import { spawn } from "node:child_process";
import { createWriteStream, readFileSync, writeFileSync } from "node:fs";

/** How much of a log a failed step shows: what looks like a reason, and how it ended. */
const LOG_LINES_SHOWN = { reasons: 8, last: 6 };

/** A set-up that cannot go on: what is wrong, where the log is, what to do next. */
export class SetupError extends Error {
  constructor({ what, hint = null, log = null, exitCode = 1 }) {
    super(what);
    this.name = "SetupError";
    this.hint = hint;
    this.log = log;
    this.exitCode = exitCode;
  }
}

/** Runs `work`, then prints `name`, what it answers (a string), and the time it took. */
export async function step(name, work) {
  const start = performance.now();
  const isTerminal = process.stdout.isTTY === true;
  if (isTerminal) process.stdout.write(`  ..  ${name}`);
  const finish = (mark, text) => {
    const seconds = ((performance.now() - start) / 1000).toFixed(2);
    process.stdout.write(
      `${isTerminal ? "\r\u001b[K" : ""}  ${mark}  ${name}${text ? `: ${text}` : ""} (${seconds} s)\n`,
    );
  };
  try {
    const outcome = await work();
    finish("ok", typeof outcome === "string" ? outcome : (outcome?.summary ?? ""));
    return outcome;
  } catch (error) {
    finish("--", "failed");
    throw error;
  }
}

/** Prints a line in the middle of a step. */
export function say(text) {
  process.stdout.write(`${process.stdout.isTTY ? "\r\u001b[K" : ""}      ${text}\n`);
}

/** What a failed set-up prints; returns the exit code. Bugs keep their stack. */
export function explain(error) {
  if (!(error instanceof SetupError)) {
    process.stderr.write(`${error?.stack ?? error}\n`);
    return 70;
  }
  process.stderr.write(`error: ${error.message}\n`);
  if (error.log !== null) {
    for (const line of tellingLines(readLog(error.log))) process.stderr.write(`  | ${line}\n`);
    process.stderr.write(`log: ${error.log}\n`);
  }
  if (error.hint !== null) process.stderr.write(`do: ${error.hint}\n`);
  return error.exitCode;
}

/** A command whose output is wanted. Never throws: { code, stdout, stderr }; code 127 when it is not there. */
export function capture(command, args, { env = process.env, input = null } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] });
    const out = { stdout: [], stderr: [] };
    child.stdout.on("data", (chunk) => out.stdout.push(chunk));
    child.stderr.on("data", (chunk) => out.stderr.push(chunk));
    // A child that ends early closes its stdin; its exit code tells the rest.
    child.stdin.on("error", () => undefined);
    child.on("error", (error) => resolve({ code: 127, stdout: "", stderr: error.message }));
    child.on("close", (code) =>
      resolve({
        code: code ?? 128,
        stdout: Buffer.concat(out.stdout).toString(),
        stderr: Buffer.concat(out.stderr).toString(),
      }),
    );
    child.stdin.end(input ?? undefined);
  });
}

/** A command whose output goes to `log`; throws a SetupError that names the log. `input` is its stdin. */
export async function logged({ command, args, log, what, hint, env = process.env, cwd, input, exitCode }) {
  const code = await new Promise((resolve) => {
    const file = createWriteStream(log, { flags: "a" });
    file.write(`\n$ ${command} ${args.join(" ")}\n`);
    const child = spawn(command, args, { env, cwd, stdio: [input ? "pipe" : "ignore", "pipe", "pipe"] });
    child.stdout.on("data", (chunk) => file.write(chunk));
    child.stderr.on("data", (chunk) => file.write(chunk));
    child.on("error", (error) => {
      file.end(`${error.message}\n`, () => resolve(127));
    });
    child.on("close", (exit) => file.end(() => resolve(exit ?? 128)));
    if (input) {
      // A child that ends early closes its stdin; its exit code and its own words tell why.
      child.stdin.on("error", () => undefined);
      child.stdin.end(input);
    }
  });
  if (code !== 0) throw new SetupError({ what: `${what} (exit code ${code})`, hint, log, exitCode });
}

/** Starts a log anew, so that a failure never shows an older run's lines. */
export function freshLog(log) {
  writeFileSync(log, "");
  return log;
}

// npm and apt-get end with advice; the reason stands further up.
function tellingLines(log) {
  const lines = log.split("\n").filter((line) => line.trim() !== "");
  const isLast = (index) => index >= lines.length - LOG_LINES_SHOWN.last;
  const reasons = lines.filter(
    (line, index) => !isLast(index) && /\b(error|failed|missing|denied|cannot|no space)\b|^E:/i.test(line),
  );
  return [...reasons.slice(0, LOG_LINES_SHOWN.reasons), ...lines.filter((_, index) => isLast(index))];
}

function readLog(file) {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "(the log is gone)";
  }
}
