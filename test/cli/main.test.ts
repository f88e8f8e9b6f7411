// The program as a process, for what needs neither Docker nor a daemon: arguments, exit codes, errors as text and as JSON.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";

const root = path.resolve(import.meta.dirname, "../..");
const folder = mkdtempSync(path.join(tmpdir(), "devmesh-cli-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** In an empty folder with a state of its own and nothing on the PATH. */
function devmesh(args: readonly string[], files: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const cwd = mkdtempSync(path.join(folder, "run-"));
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(cwd, name), text);
  const env = { PATH: "", HOME: cwd, XDG_STATE_HOME: cwd, XDG_RUNTIME_DIR: cwd, COMPOSE_PROJECT_NAME: "shop" };
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [path.join(root, "cli/main.ts"), ...args], { cwd, env });
    const text = { stdout: "", stderr: "" };
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      text.stdout += chunk;
    });
    child.stderr.setEncoding("utf8").on("data", (chunk) => {
      text.stderr += chunk;
    });
    child.on("close", (code) => resolve({ code, ...text }));
  });
}

describe("what is no command line", () => {
  test.each<[string, readonly string[], string, string]>([
    ["an unknown command", ["upp"], "unknown command 'upp'", "Did you mean up?"],
    ["an unknown option", ["up", "--detatch"], "unknown option '--detatch'", "Did you mean --detach?"],
    ["an option without its value", ["-p"], "option '-p, --project <name>' argument missing", "--help"],
    ["an argument too many", ["version", "x"], "too many arguments for 'version'", "--help"],
    ["an argument too few", ["split", "payment"], "missing required argument 'weights'", "--help"],
    ["no time", ["up", "--timeout", "0"], "expected seconds, such as 60 or 60s", "--help"],
    ["no port", ["demo", "--port", "70000"], "expected a port from 1 to 65535", "--help"],
    ["no action on images", ["image", "push"], "Allowed choices are build, save, load", "--help"],
    ["no file to save to", ["image", "save"], "image save needs a file", "devmesh image save FILE"],
    ["a file that build has no use for", ["image", "build", "x"], "image build takes no file", "image save FILE"],
    ["no shell", ["completion", "tcsh"], "Allowed choices are bash, zsh, fish", "--help"],
    ["no weight", ["split", "payment", "v2:20"], '"v2:20" is no weight', "devmesh split payment v2=20"],
    ["no project", ["-p", "My Shop", "validate"], '"My Shop" is no project name', "lower-case"],
  ])("%s: exit code 2, what was wrong, what to do, as text and as JSON", async (_why, args, message, hint) => {
    const files = { "mesh.yaml": "services: {}\n" };
    const [plain, json] = await Promise.all([devmesh(args, files), devmesh(["--json", ...args], files)]);
    expect([plain.code, plain.stdout, json.code, json.stdout]).toEqual([2, "", 2, ""]);
    expect(plain.stderr).toMatch(/^ERR .* \(DM0002\)\n {2}hint: .*\n$/);
    expect(plain.stderr).toContain(message);
    expect(plain.stderr).toContain(hint);
    const told = JSON.parse(json.stderr);
    expect(told).toEqual({
      code: "DM0002",
      message: expect.stringContaining(message),
      hint: expect.stringContaining(hint),
    });
  });

  test("nothing at all prints the help on stderr: exit code 2", async () => {
    const { code, stdout, stderr } = await devmesh([]);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain("Exit codes:");
  });
});

describe("without a daemon", () => {
  test.each(["status", "ps", "logs", "metrics"])("%s says that no mesh is up: exit code 5", async (command) => {
    const { code, stdout, stderr } = await devmesh(["--json", command]);
    expect([code, stdout]).toEqual([5, ""]);
    expect(JSON.parse(stderr)).toMatchObject({ code: "DM0201", hint: "start it with: devmesh up" });
  });

  test("version is the package's, plain and as JSON", async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
    expect(await devmesh(["version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
    expect(JSON.parse((await devmesh(["version", "--json"])).stdout)).toEqual({ version, node: process.version });
  });
});

describe("validate", () => {
  const broken = "services:\n  payment:\n    split: { v1: 1 }\n    prot: 8080\n";

  test("a good file is exit code 0, and says so on stderr", async () => {
    const { code, stdout, stderr } = await devmesh(["validate"], { "mesh.yaml": "services: {}\n" });
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "", stderr: "mesh.yaml: valid\n" });
  });

  test("a broken one is exit code 3, every mistake with its line", async () => {
    const { code, stdout, stderr } = await devmesh(["validate"], { "mesh.yaml": broken });
    expect([code, stdout]).toEqual([3, ""]);
    expect(stderr).toContain("mesh.yaml:4:5 error: services.payment has no key prot");
    expect(stderr).toMatch(/mesh\.yaml: \d+ errors?\n$/);
  });

  test("as JSON the diagnostics are data on stdout", async () => {
    const { code, stdout, stderr } = await devmesh(["validate", "--json"], { "mesh.yaml": broken });
    const told = JSON.parse(stdout);
    expect([code, stderr, told.isValid]).toEqual([3, "", false]);
    expect(told.diagnostics).toContainEqual(expect.objectContaining({ file: "mesh.yaml", line: 4, column: 5 }));
  });

  test.each<[string, readonly string[], Readonly<Record<string, string>>, string]>([
    ["a file that is not there", ["validate", "no.yaml"], {}, "the file does not exist"],
    ["no file at all", ["validate"], {}, "there is no mesh.yaml here"],
    ["two candidates", ["validate"], { "mesh.yaml": "", "mesh.yml": "" }, "mesh.yaml and mesh.yml"],
    ["an empty file", ["validate"], { "mesh.yaml": "" }, "the file is empty"],
  ])("%s is exit code 3", async (_why, args, files, text) => {
    const { code, stderr } = await devmesh(args, files);
    expect([code, stderr]).toEqual([3, expect.stringContaining(text)]);
  });

  test("a file with names that would move the cursor is shown without them", async () => {
    const { stderr } = await devmesh(["validate"], { "mesh.yaml": '"a\\e[2J": 1\n' });
    expect(stderr).toContain("a?[2J");
    expect(stderr).not.toContain("\x1b");
  });
});
