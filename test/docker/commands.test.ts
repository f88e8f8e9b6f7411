// The command line as a person or a script meets it: what it prints where, how it exits, what it leaves alone.
import { execFile, spawn } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const program = path.join(root, "dist/devmesh.mjs");
const apps = path.resolve(import.meta.dirname, "../support/apps");
const app = (name: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name}, PRINT: "1" }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
    stop_grace_period: 1s`;

const state: { project: MeshProject | null; text: string; url: string } = { project: null, text: "", url: "" };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not there");
const file = (name = "mesh.yaml"): string => path.join(project().folder, name);
const colour = "\x1b";

beforeAll(async () => {
  const port = await unusedPort();
  state.url = `http://127.0.0.1:${port}`;
  state.text = `# The mesh of our tests.
name: c${process.pid}
mtls:   strict   # oddly spaced, and to stay so
gateway: [{ listen: ${port}, to: payment }]
services:
  payment:   # the service that pays
    port: 8080
    versions: { v1: {}, v2: {} }
    split: { v1: 90, v2: 10 } # ten of every hundred
`;
  state.project = new MeshProject({
    name: "cmd",
    compose: `services:${app("payment-v1")}${app("payment-v2")}\n`,
    mesh: state.text,
  });
});
afterAll(() => state.project?.close());

/** Runs the CLI anywhere, with other variables. */
async function cliIn(
  cwd: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<[number, string, string]> {
  const options = { cwd, env: { ...project().env, ...env } };
  try {
    const { stdout, stderr } = await run(process.execPath, [program, ...args], options);
    return [0, stdout, stderr];
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
    return [code, stdout, stderr];
  }
}

describe("before up", () => {
  test("version prints the package's version, plain and as JSON", async () => {
    const { version } = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));
    expect(await project().cli("version")).toMatchObject({ code: 0, stdout: `${version}\n`, stderr: "" });
    expect((await project().cli("--version")).stdout).toBe(`${version}\n`);
    expect(JSON.parse((await project().cli("version", "--json")).stdout)).toMatchObject({ version });
  });

  test("help names every command and the exit codes", async () => {
    const { code, stdout } = await project().cli("--help");
    expect(code).toBe(0);
    for (const word of ["up", "down", "status|ps", "logs", "validate", "split", "demo", "version", "Exit codes"])
      expect(stdout).toContain(word);
  });

  test.each([
    ["a command that is not there", ["statsu"], /unknown command 'statsu'[\s\S]*Did you mean status/],
    ["an option that is not there", ["up", "--detatch"], /unknown option '--detatch'[\s\S]*Did you mean --detach/],
    ["a time that is none", ["up", "--timeout", "soon"], /expected seconds/],
    ["weights that are none", ["split", "payment", "v2"], /"v2" is no weight.*\n.*devmesh split payment v2=20/],
  ])("%s is a usage error: exit code 2, and what was meant", async (_what, args, said) => {
    const { code, stdout, stderr } = await project().cli(...args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toMatch(said);
  });

  test.each(["status", "logs", "metrics"])(
    "%s says that no mesh is up and how to start one: exit code 5",
    async (command) => {
      const { code, stdout, stderr } = await project().cli(command);
      expect([code, stdout]).toEqual([5, ""]);
      expect(stderr).toMatch(/no mesh is up for project .*\(DM0201\)\n {2}hint: start it with: devmesh up\n/);
      const json = await project().cli(command, "--json");
      expect(JSON.parse(json.stderr)).toMatchObject({ code: "DM0201", hint: "start it with: devmesh up" });
    },
  );

  test("validate accepts the file, and names every mistake in a broken one: exit code 3", async () => {
    expect(await project().cli("validate")).toMatchObject({ code: 0, stdout: "", stderr: "mesh.yaml: valid\n" });
    writeFileSync(file("broken.yaml"), state.text.replace("v2: 10 }", "v3: 10 }").replace("port: 8080", "prot: 8080"));
    const { code, stderr } = await project().cli("validate", "broken.yaml");
    expect(code).toBe(3);
    expect(stderr).toContain("broken.yaml:9:22 error: split names v3, but payment has v1, v2 (DM1103)");
    expect(stderr).toContain(
      "broken.yaml:7:5 error: services.payment has no key prot (DM1101)\n  hint: did you mean port?",
    );
    expect(stderr).toContain("broken.yaml: 2 errors");
    const json = await project().cli("validate", "--json", "broken.yaml");
    expect(json.code).toBe(3);
    expect(JSON.parse(json.stdout)).toMatchObject({
      isValid: false,
      diagnostics: [{ line: expect.any(Number), column: expect.any(Number), code: expect.stringMatching(/^DM/) }, {}],
    });
  });

  test("GitHub gets an annotation with the place of each mistake", async () => {
    const [code, , stderr] = await cliIn(project().folder, ["validate", "broken.yaml"], { GITHUB_ACTIONS: "true" });
    expect(code).toBe(3);
    expect(stderr).toContain("::error file=broken.yaml,line=9,col=22::split names v3, but payment has v1, v2");
  });

  test("up refuses a broken file and starts nothing: exit code 3", async () => {
    const { code, stderr } = await project().cli("up", "-d", "-f", "broken.yaml");
    expect(code).toBe(3);
    expect(stderr).toContain("broken.yaml:9:22 error:");
    expect(await project().docker("ps", "-aq", "--filter", `label=com.docker.compose.project=${project().name}`)).toBe(
      "",
    );
    rmSync(file("broken.yaml"));
  });
});

describe("split", () => {
  test("changes the weights alone: comments, spaces and everything else stay", async () => {
    const { code, stdout, stderr } = await project().cli("split", "payment", "v2=20");
    expect([code, stdout]).toEqual([0, ""]);
    expect(stderr).toContain("payment: v1=80 v2=20 written to");
    expect(readFileSync(file(), "utf8")).toBe(state.text.replace("{ v1: 90, v2: 10 }", "{ v1: 80, v2: 20 }"));
    expect((await project().cli("split", "payment", "v2=20%")).stderr).toContain("(it was so already)");
    expect((await project().cli("split", "payment", "v1=90", "v2=10")).code).toBe(0);
    expect(readFileSync(file(), "utf8")).toBe(state.text);
  });

  test.each([
    ["a service that is not there", ["paymint", "v2=20"], /paymint/],
    ["a version that is not there", ["payment", "v3=20"], /v3/],
    ["more than a hundred of a hundred", ["payment", "v2=120"], /add up to 120/],
    ["weights that leave nobody", ["payment", "v1=0", "v2=0"], /all weights are 0/],
  ])("refuses %s and changes nothing: exit code 3", async (_what, args, said) => {
    const { code, stderr } = await project().cli("split", ...args);
    expect(code).toBe(3);
    expect(stderr).toMatch(said);
    expect(readFileSync(file(), "utf8")).toBe(state.text);
  });

  test("follows a link to the file and leaves the link", async () => {
    mkdirSync(file("elsewhere"));
    writeFileSync(file("elsewhere/real.yaml"), state.text);
    symlinkSync("elsewhere/real.yaml", file("linked.yaml"));
    expect((await project().cli("split", "-f", "linked.yaml", "payment", "v2=30")).code).toBe(0);
    expect(readFileSync(file("elsewhere/real.yaml"), "utf8")).toContain("v2: 30");
    expect(readFileSync(file("linked.yaml"), "utf8")).toContain("v2: 30");
    rmSync(file("linked.yaml"));
  });
});

describe("a mesh that is up", () => {
  beforeAll(async () => {
    const { code, stdout, stderr } = await project().cli("up", "--json");
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(JSON.parse(stdout)).toMatchObject({ health: "ok", project: project().name });
  });

  test("status has every service, version and sidecar, on standard output and without colour", async () => {
    for (const command of ["status", "ps"]) {
      const { code, stdout, stderr } = await project().cli(command);
      expect([code, stderr]).toEqual([0, ""]);
      expect(stdout).toMatch(/^payment +v1 +\S+payment-v1_1 +running +ready +\S+ +strict /m);
      expect(stdout).toMatch(/^payment +v2 +\S+payment-v2_1 +running +ready +\S+ +strict /m);
      expect(stdout).toMatch(/^config \S*mesh\.yaml {2}#\d+ {2}in force$/m);
      expect(stdout).toContain(`gateway ${state.url} -> payment  ready`);
      expect(stdout).not.toContain(colour);
    }
  });

  test("is found from a folder below in the repository, by -f and by DEVMESH_FILE", async () => {
    mkdirSync(file(".git"));
    const [inside, outside] = [file("elsewhere"), path.dirname(project().folder)];
    const ways: [string, string[], NodeJS.ProcessEnv][] = [
      [inside, ["status"], {}],
      [outside, ["-f", file(), "status"], {}],
      [outside, ["status", "--file", file()], {}],
      [outside, ["status"], { DEVMESH_FILE: file() }],
    ];
    for (const [cwd, args, env] of ways) {
      rmSync(file("elsewhere/real.yaml"), { force: true });
      const [code, stdout, stderr] = await cliIn(cwd, args, env);
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
      expect(stdout).toContain("payment-v1_1");
    }
  });

  test("colour is for terminals: a pipe gets none though the messages' stream is one, FORCE_COLOR and NO_COLOR decide", async () => {
    const command = `${process.execPath} ${program} status`;
    const onTerminal = async (line: string, env: NodeJS.ProcessEnv) => {
      const all: NodeJS.ProcessEnv = { ...project().env, TERM: "xterm-256color", ...env };
      for (const name of ["NO_COLOR", "CI", "FORCE_COLOR"]) if (env[name] === undefined) delete all[name];
      const options = { cwd: project().folder, env: all };
      return (await run("script", ["-qec", line, "/dev/null"], options)).stdout;
    };
    expect(await onTerminal(command, {})).toContain(colour);
    expect(await onTerminal(`${command} | cat`, {})).not.toContain(colour);
    expect(await onTerminal(command, { NO_COLOR: "1" })).not.toContain(colour);
    expect(await onTerminal(`${command} --no-color`, {})).not.toContain(colour);
    expect(await onTerminal(command, { CI: "true" })).not.toContain(colour);
    const [, forced] = await cliIn(project().folder, ["status"], { NO_COLOR: "", FORCE_COLOR: "1" });
    expect(forced).toContain(colour);
  });

  test("split is live: the next hundred requests follow it", async () => {
    expect((await project().cli("split", "payment", "v2=50")).code).toBe(0);
    await eventually(async () => {
      const { config, services } = await project().status();
      expect(config.isInSync).toBe(true);
      expect(services[0]?.split).toMatchObject([
        { version: "v1", weight: 50 },
        { version: "v2", weight: 50 },
      ]);
    });
    const seen = new Map<string, number>();
    for (let i = 0; i < 100; i++) {
      const name = (await fetch(`${state.url}/order?n=${i}`)).headers.get("x-name") ?? "";
      seen.set(name, (seen.get(name) ?? 0) + 1);
    }
    expect(Object.fromEntries(seen)).toEqual({ "payment-v1": 50, "payment-v2": 50 });
  });

  test("logs has applications and sidecars, each line with where it is from", async () => {
    await eventually(async () => {
      const { code, stdout } = await project().cli("logs", "payment");
      expect(code).toBe(0);
      expect(stdout).toMatch(/^\S+payment-v1_1 \| payment-v1 listens$/m);
      expect(stdout.match(/^\S+payment-v[12]_1 \| GET \/order\?n=\d+$/gm)).toHaveLength(100);
      expect(stdout).toMatch(/^payment sidecar \| \[\S+\] "GET \/order\?n=7 HTTP\/1\.1" 200 /m);
    });
    const tail = await project().cli("logs", "--tail", "1", "payment");
    expect(tail.stdout.split("\n").filter((line) => / \| GET /.test(line))).toHaveLength(2);
    const json = await project().cli("logs", "--json", "--tail", "1", "payment");
    for (const line of json.stdout.trim().split("\n")) {
      expect(JSON.parse(line)).toMatchObject({
        service: "payment",
        source: expect.stringMatching(/^(app|sidecar|gateway)$/),
      });
    }
  });

  test("logs of a service that is not there is a usage error", async () => {
    const { code, stderr } = await project().cli("logs", "paymint");
    expect(code).toBe(2);
    expect(stderr).toMatch(/paymint/);
  });

  test("logs -f goes on with what comes, until Ctrl-C: exit code 130", async () => {
    const child = spawn(process.execPath, [program, "logs", "-f", "--tail", "0", "payment"], {
      cwd: project().folder,
      env: project().env,
    });
    let printed = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      printed += text;
    });
    const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
    let n = 0;
    await eventually(async () => {
      await fetch(`${state.url}/followed?n=${n++}`);
      expect(printed).toMatch(/payment-v[12]_1 \| GET \/followed\?n=\d+/);
    });
    child.kill("SIGINT");
    expect(await closed).toBe(130);
  });

  test("up in the foreground says on Ctrl-C what goes on and how to stop it: exit code 130, nothing is stopped", async () => {
    const child = spawn(process.execPath, [program, "up", "--no-tui"], { cwd: project().folder, env: project().env });
    let said = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      said += text;
    });
    const closed = new Promise<number | null>((resolve) => child.on("close", resolve));
    await eventually(() => expect(said).toMatch(/rps, .* errors/), 20_000);
    child.kill("SIGINT");
    expect(await closed).toBe(130);
    expect(said).toMatch(/goes on[\s\S]*devmesh down/);
    expect((await project().cli("status")).code).toBe(0);
    expect((await fetch(state.url)).status).toBe(200);
  });

  test("a container that stops is told by status: exit code 7, until it is back", async () => {
    const container = await project().container("payment-v2");
    await project().docker("stop", "-t", "1", container);
    await eventually(async () => {
      const { code, stdout } = await project().cli("status");
      expect(code).toBe(7);
      expect(stdout).toMatch(/^payment +v2 +\S+payment-v2_1 +exited /m);
    });
    await project().docker("start", container);
    await eventually(async () => expect((await project().cli("status")).code).toBe(0));
  });

  test("up gives up after its timeout and names what is missing: exit code 6", async () => {
    const { code, stderr } = await project().cli("up", "-d", "--timeout", "0.001", "--", "--force-recreate");
    expect(code).toBe(6);
    expect(stderr).toMatch(/not ready after 0\.0 s: .*payment-v[12]/);
    expect((await project().up()).stderr).toContain("2 sidecars ready and in sync");
  });

  test("arguments behind -- go to compose", async () => {
    await project().up("--", "--scale", "payment-v1=2");
    const { services } = await project().status();
    expect(services[0]?.workloads.filter(({ version }) => version === "v1")).toHaveLength(2);
  });

  test("down --no-compose leaves the containers running, and up --no-compose attaches to them again", async () => {
    const containers = async () => await project().compose("ps", "-q");
    const before = await containers();
    expect((await project().down("--no-compose")).stdout).toBe("");
    expect(await containers()).toBe(before);
    expect((await project().cli("status")).code).toBe(5);
    const { stderr } = await project().up("--no-compose");
    expect(stderr).toContain("3 sidecars ready and in sync");
    expect(await containers()).toBe(before);
    expect((await fetch(state.url)).status).toBe(200);
  });
});
