import { expect, test } from "vitest";
import { commandOf } from "../../cli/commands/context.ts";
import { orInterrupted } from "../../cli/interrupt.ts";
import { createOutput } from "../../cli/output.ts";

function recorded() {
  const notes: string[] = [];
  const streams = { stdout: process.stdout, stderr: process.stderr };
  const output = createOutput({ isJson: false, isQuiet: true, isColourless: true, env: {}, ...streams });
  return { notes, output: { ...output, note: (text: string) => void notes.push(text) } };
}

test.each(["SIGINT", "SIGTERM"] as const)(
  "%s says what still runs and how to stop it: exit code 130",
  async (signal) => {
    const { notes, output } = recorded();
    const before = process.listenerCount(signal);
    const ended = orInterrupted(output, new Promise<number>(() => undefined));
    process.emit(signal);
    expect(await ended).toBe(130);
    expect(notes.join("\n")).toMatch(/interrupted.*goes on[\s\S]*devmesh status[\s\S]*devmesh down/);
    expect(process.listenerCount(signal)).toBe(before);
  },
);

test("work that ends, well or badly, ends as it does and leaves no handler", async () => {
  const { output } = recorded();
  const before = process.listenerCount("SIGINT");
  expect(await orInterrupted(output, Promise.resolve(7))).toBe(7);
  await expect(orInterrupted(output, Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(process.listenerCount("SIGINT")).toBe(before);
});

test.each([
  ["nothing of its own", {}, ""],
  ["a file", { file: "sub/mesh.yaml" }, " -f sub/mesh.yaml"],
  ["a file with blanks and quotes", { file: "my 'own'/mesh.yaml" }, String.raw` -f 'my '\''own'\''/mesh.yaml'`],
  ["a project", { project: "shop" }, " -p shop"],
])("what to type next has %s", (_why, flags, expected) => {
  expect(commandOf({ flags }).endsWith(expected)).toBe(true);
});
