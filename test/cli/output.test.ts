import { Writable } from "node:stream";
import { describe, expect, test } from "vitest";
import { createOutput, hasColour, type OutputOptions, Steps } from "../../cli/output.ts";
import type { Diagnostic } from "../../daemon/spec/diagnostic.ts";

const esc = "\x1b";

interface Stream extends NodeJS.WriteStream {
  readonly text: string;
}

function stream({ isTTY = false } = {}): Stream {
  let text = "";
  const writable = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  Object.defineProperties(writable, { isTTY: { value: isTTY }, text: { get: () => text } });
  return writable as unknown as Stream;
}

function outputOf(options: Partial<OutputOptions> = {}) {
  const [stdout, stderr] = [stream(), stream()];
  const all = { isJson: false, isQuiet: false, isColourless: false, env: {}, stdout, stderr, ...options };
  return { output: createOutput(all), stdout, stderr };
}

const diagnostic: Diagnostic = {
  severity: "error",
  code: "DM1101",
  message: "no such thing",
  hint: "write another",
  file: "mesh.yaml",
  line: 3,
  column: 7,
};

describe("colour", () => {
  test.each<[string, NodeJS.ProcessEnv, boolean, boolean]>([
    ["is on where a person looks", {}, true, true],
    ["is off in a pipe", {}, false, false],
    ["is off with NO_COLOR", { NO_COLOR: "1" }, true, false],
    ["is on with an empty NO_COLOR", { NO_COLOR: "" }, true, true],
    ["is on in a pipe with FORCE_COLOR", { FORCE_COLOR: "1" }, false, true],
    ["is off with FORCE_COLOR=0", { FORCE_COLOR: "0" }, true, false],
    ["is off with both: NO_COLOR wins", { NO_COLOR: "1", FORCE_COLOR: "1" }, true, false],
    ["is off on a dumb terminal", { TERM: "dumb" }, true, false],
    ["is off in CI", { CI: "true" }, true, false],
  ])("%s", (_why, env, isTTY, expected) => {
    expect(hasColour(env, { isTTY })).toBe(expected);
  });

  test("of data and of notes is each stream's own", () => {
    const { output } = outputOf({ stdout: stream(), stderr: stream({ isTTY: true }) });
    expect([output.paint.red("x"), output.dataPaint.red("x")]).toEqual([`${esc}[31mx${esc}[0m`, "x"]);
    expect(outputOf({ stderr: stream({ isTTY: true }), isColourless: true }).output.paint.red("x")).toBe("x");
  });
});

describe("what goes where", () => {
  test("data on stdout, notes and steps on stderr", () => {
    const { output, stdout, stderr } = outputOf();
    output.data("data");
    output.note("note");
    new Steps(output).done("thing done");
    expect(stdout.text).toBe("data\n");
    expect(stderr.text).toMatch(/^note\nok thing done \d+\.\d s\n$/);
  });

  test("quiet leaves out notes, never data or diagnostics", () => {
    const { output, stdout, stderr } = outputOf({ isQuiet: true });
    output.data("data");
    output.note("note");
    output.diagnostic(diagnostic);
    expect([stdout.text, stderr.text]).toEqual([
      "data\n",
      "mesh.yaml:3:7 error: no such thing (DM1101)\n  hint: write another\n",
    ]);
  });

  test("a reader that goes away is no error of ours", () => {
    const { output, stdout } = outputOf();
    stdout.emit("error", Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
    output.data("data");
  });

  test.each<[string, boolean, NodeJS.ProcessEnv, boolean, boolean]>([
    ["a terminal", true, {}, false, true],
    ["a pipe", false, {}, false, false],
    ["JSON", true, {}, true, false],
    ["CI", true, { CI: "1" }, false, false],
    ["a dumb terminal", true, { TERM: "dumb" }, false, false],
  ])("the live screen is for %s: %s", (_why, isTTY, env, isJson, expected) => {
    expect(outputOf({ stdout: stream({ isTTY }), env, isJson }).output.isInteractive).toBe(expected);
  });
});

describe("texts of other people's files", () => {
  test("cannot move the cursor, clear the screen or turn the writing round", () => {
    const { output, stderr } = outputOf();
    output.diagnostic({ ...diagnostic, message: `no key a${esc}[2Jb\r\u202Ec`, hint: "x\ty\u0007" });
    expect(stderr.text).toBe("mesh.yaml:3:7 error: no key a?[2Jb??c (DM1101)\n  hint: x    y?\n");
  });

  test("cannot become another command of GitHub's workflow", () => {
    const { output, stderr } = outputOf({ env: { GITHUB_ACTIONS: "true" } });
    output.diagnostic({ ...diagnostic, file: "a,b:c.yaml", message: "100%\n::set-output name=x::y" });
    expect(stderr.text.trim().split("\n").at(-1)).toBe(
      "::error file=a%2Cb%3Ac.yaml,line=3,col=7::100%25%0A::set-output name=x::y",
    );
  });
});
