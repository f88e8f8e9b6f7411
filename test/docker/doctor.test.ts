// `devmesh doctor` on this machine's engine: all well, each thing that can really be broken, and nothing left behind.
import { execFileSync, spawn } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkIds } from "../../daemon/doctor/finding.ts";
import { eventually } from "../support/eventually.ts";
import { builtImages } from "../support/shop-project.ts";

const root = path.resolve(import.meta.dirname, "../..");
const program = path.join(root, "dist/devmesh.mjs");
/** Of the whole examination on 2 cores. */
const barMs = 10_000;
const folder = mkdtempSync(path.join(tmpdir(), "devmesh-doctor-"));
const brokenImage = `devmesh-doctor-test:${process.pid}`;
const env = { ...process.env, NO_COLOR: "1", XDG_STATE_HOME: folder, DEVMESH_PROXY_IMAGE: builtImages().proxy };
const docker = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" }).trim();

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Started {
  readonly pid: number;
  readonly ended: Promise<Ended>;
}

function start(args: readonly string[], more: NodeJS.ProcessEnv = {}, wrapper: readonly string[] = []): Started {
  const [command = "", ...rest] = [...wrapper, process.execPath, program, "doctor", ...args];
  const child = spawn(command, rest, { cwd: folder, env: { ...env, ...more }, stdio: ["ignore", "pipe", "pipe"] });
  const text = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (chunk: string) => {
      text[name] += chunk;
    });
  }
  const ended = new Promise<Ended>((resolve) => child.on("close", (code) => resolve({ code: code ?? -1, ...text })));
  return { pid: child.pid ?? expect.unreachable("the doctor did not start"), ended };
}

interface Told {
  readonly id: string;
  readonly status: string;
  readonly what: string;
  readonly hint: string;
}

/** As JSON, by id. */
async function findings(more: NodeJS.ProcessEnv, wrapper: readonly string[] = []) {
  const { code, stdout, stderr } = await start(["--json"], more, wrapper).ended;
  const told = JSON.parse(stdout || expect.unreachable(stderr)) as Told[];
  return { code, ids: told.map(({ id }) => id), of: (id: string) => told.find((finding) => finding.id === id) };
}

/** What the doctor with this process id has on the engine. */
function madeBy(pid: number): string[] {
  const filter = ["--filter", `label=dev.devmesh.mesh=doctor-${pid}`, "-q"];
  return [docker("ps", "-a", ...filter), docker("network", "ls", ...filter)]
    .flatMap((ids) => ids.split("\n"))
    .filter(Boolean);
}

beforeAll(() => {
  // As on a kernel without the module nft_fib: every rule that needs it is refused.
  const nft = [
    "#!/bin/sh",
    "rules=$(cat)",
    'case "$rules" in *fib*) echo "Error: Could not process rule: No such file or directory" >&2; exit 1;; esac',
    'echo "$rules" | /usr/sbin/nft "$@"',
  ];
  const script = Buffer.from(`${nft.join("\n")}\n`).toString("base64");
  const run = `RUN echo ${script} | base64 -d > /usr/local/sbin/nft && chmod 755 /usr/local/sbin/nft`;
  const input = `FROM ${builtImages().proxy}\n${run}\n`;
  execFileSync("docker", ["build", "-q", "-t", brokenImage, "-"], { input });
});
afterAll(() => {
  docker("rmi", "-f", brokenImage);
  rmSync(folder, { recursive: true, force: true });
});

describe("on an engine that is well", () => {
  test("everything is proved, and what a killed one left is removed; nothing stays", async () => {
    const killed = start([]);
    await eventually(() => expect(madeBy(killed.pid).length).toBeGreaterThan(1), 30_000);
    process.kill(killed.pid, "SIGKILL");
    await killed.ended;
    expect(madeBy(killed.pid).length).toBeGreaterThan(1);

    const started = performance.now();
    const { pid, ended } = start(["--json"]);
    const { code, stdout, stderr } = await ended;
    const ms = performance.now() - started;
    console.log(`doctor: ${Math.round(ms)} ms (bar ${barMs} ms), ${stderr.trim()}`);
    const told = JSON.parse(stdout) as Told[];
    expect(told.filter(({ status }) => status === "fail")).toEqual([]);
    expect(new Set(told.map(({ id }) => id))).toEqual(new Set(checkIds));
    expect(told.find(({ id }) => id === "capture")?.status).toBe("ok");
    expect(code).toBe(0);
    expect(ms).toBeLessThan(3 * barMs);
    expect([...madeBy(killed.pid), ...madeBy(pid)]).toEqual([]);
  });

  test("Ctrl-C ends it with exit code 130, and takes away what was made", async () => {
    const { pid, ended } = start([]);
    await eventually(() => expect(madeBy(pid).length).toBeGreaterThan(1), 30_000);
    process.kill(pid, "SIGINT");
    const { code, stderr } = await ended;
    expect([code, stderr]).toEqual([130, "interrupted; what it had made is removed\n"]);
    expect(madeBy(pid)).toEqual([]);
  });
});

describe("what is missing is named, with what mends it", () => {
  test("a kernel without one of the modules: exit code 7", async () => {
    const { code, of } = await findings({ DEVMESH_PROXY_IMAGE: brokenImage });
    expect(code).toBe(7);
    expect(of("rules")).toMatchObject({
      status: "fail",
      what: expect.stringMatching(/lacks what the rules of a sidecar need: nft_fib_inet, nft_fib$/),
      hint: expect.stringContaining("modprobe -a nft_fib_inet nft_fib"),
    });
    expect(of("capture")).toBeUndefined();
  });

  test("no image: exit code 7, and no container is made", async () => {
    const { code, ids, of } = await findings({ DEVMESH_PROXY_IMAGE: "devmesh/none:1" });
    expect(code).toBe(7);
    expect(of("image")).toMatchObject({ status: "fail", hint: expect.stringContaining("devmesh image build") });
    expect(ids).not.toContain("pair");
  });

  test("no engine and a full disk: exit code 4, and what needs no Docker is checked all the same", async () => {
    const full = path.join(folder, "full");
    mkdirSync(full);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", full]);
    try {
      const { code, stdout, stderr } = await start([], {
        DOCKER_HOST: `unix://${folder}/docker.sock`,
        XDG_STATE_HOME: full,
      }).ended;
      expect(code).toBe(4);
      expect(stdout).toMatch(/^ok {4}Node \d/m);
      expect(stdout).toMatch(
        /^FAIL {2}the state folder .* cannot be written: no space is left; df -h .*XDG_STATE_HOME/m,
      );
      expect(stdout).toMatch(/^FAIL {2}no Docker engine answers at .*there is no such socket; unset DOCKER_HOST/m);
      expect(stderr).toMatch(/^4 checks in \d+\.\d s\n$/);
    } finally {
      execFileSync("umount", [full]);
    }
  });

  test("no right to the engine's socket: exit code 4, and the group to join", async () => {
    const socket = path.join(folder, "somebody.sock");
    const server = createServer((connection) => connection.destroy()).listen(socket);
    // Root without capabilities is an ordinary user to files that others own.
    chownSync(socket, 65_534, 65_534);
    const powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"];
    const { code, of } = await findings({ DOCKER_HOST: `unix://${socket}` }, powerless);
    server.close();
    expect(code).toBe(4);
    expect(of("docker")).toMatchObject({
      status: "fail",
      what: expect.stringContaining("no permission to use Docker"),
      hint: expect.stringMatching(/usermod -aG docker .*newgrp docker/),
    });
  });
});
