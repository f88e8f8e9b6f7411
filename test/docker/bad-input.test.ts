// What people get wrong, and what machines do: each a clear error with its documented exit code, at once, and nothing changed.
import { execFile } from "node:child_process";
import { chmodSync, chownSync, rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, describe, expect, onTestFinished, test } from "vitest";
import type { ProblemCode } from "../../daemon/api/problem.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import {
  asNobody,
  echoService,
  expectNothingMade,
  fillDisk,
  isRoot,
  listen,
  mountTmpfs,
  nobody,
  refused,
  refusedBarMs,
  slowest,
} from "../support/refused.ts";
import { builtImages } from "../support/shop-project.ts";

const run = promisify(execFile);
const compose = `services:${echoService("web")}\n`;
const mesh = "services: { web: { port: 8080 } }\n";

interface Case {
  readonly files?: Readonly<Record<string, string>>;
  readonly env?: NodeJS.ProcessEnv;
  readonly mesh?: string | null;
}

/** A project that nothing is known of, and its end. */
function projectOf({ files = {}, env = {}, mesh: text = mesh }: Case): MeshProject {
  const project = new MeshProject({ name: "bad", compose, mesh: text, files, env });
  onTestFinished(async ({ task }) => {
    // Each test has seen that nothing was made, unless it failed.
    if (task.result?.state === "fail") await project.close();
    for (const folder of [project.folder, project.stateHome]) rmSync(folder, { recursive: true, force: true });
  });
  return project;
}

afterAll(() => console.log(`slowest error: ${slowest.ms.toFixed(0)} ms (${slowest.why}), bar ${refusedBarMs} ms`));

describe("up without a Docker that can be used", () => {
  test.each<[string, ProblemCode, NodeJS.ProcessEnv, RegExp]>([
    ["no socket", "DM0101", { DOCKER_HOST: "unix:///nowhere/docker.sock" }, /there is no such socket/],
    ["nothing listens", "DM0101", { DOCKER_HOST: "tcp://127.0.0.1:1" }, /nothing listens there/],
    ["an unknown scheme", "DM0101", { DOCKER_HOST: "gopher://x" }, /scheme/],
    ["no address", "DM0101", { DOCKER_HOST: "unix//var/run/docker.sock" }, /not an address/],
    ["an unknown context", "DM0101", { DOCKER_CONTEXT: "nowhere" }, /context nowhere does not exist/],
  ])("%s", async (_why, code, env, message) => {
    const project = projectOf({ env });
    expect((await refused(project, ["up", "-d"], code)).message).toMatch(message);
    expect((await refused(project, ["down"], code)).message).toMatch(message);
  });

  test("something else answers there", async () => {
    await using server = await listen((socket) => {
      socket.on("error", () => socket.destroy());
      socket.on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi"));
    });
    const project = projectOf({ env: { DOCKER_HOST: `tcp://127.0.0.1:${server.port}` } });
    expect((await refused(project, ["up", "-d"], "DM0101")).message).toContain("not as Docker does");
  });

  test("an engine that is too old, and one that is too new", async () => {
    for (const [answer, message] of [
      [{ ApiVersion: "1.24", MinAPIVersion: "1.12", Version: "1.12" }, /too old/],
      [{ ApiVersion: "9.9", MinAPIVersion: "9.0", Version: "99" }, /too new/],
    ] as const) {
      const body = JSON.stringify(answer);
      await using server = await listen((socket) => {
        socket.on("error", () => socket.destroy());
        const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close`;
        socket.on("data", () => socket.end(`${head}\r\n\r\n${body}`));
      });
      const project = projectOf({ env: { DOCKER_HOST: `tcp://127.0.0.1:${server.port}` } });
      expect((await refused(project, ["up", "-d"], "DM0103")).message).toMatch(message);
    }
  });

  test.runIf(isRoot)("no permission on its socket names the group to join", async () => {
    const project = projectOf({ env: { HOME: "/nonexistent" } });
    for (const folder of [project.folder, project.stateHome]) chownSync(folder, nobody, nobody);
    const { code, stderr, ms } = await asNobody(project, ["up", "-d"]);
    expect(stderr).toMatch(/ERR no permission to use Docker at unix:\/\/.* \(DM0102\)\n {2}hint: .*usermod -aG docker/);
    expect(code).toBe(4);
    expect(ms).toBeLessThan(3 * refusedBarMs);
    await expectNothingMade(project);
  });
});

describe("up with a mesh.yaml that cannot be used: exit code 3, the line, nothing changed", () => {
  test.each<[string, string, RegExp]>([
    ["empty", "", /mesh\.yaml error: the file is empty \(DM1003\)/],
    ["2 MB long", "#".repeat(2 * 1024 * 1024), /larger than 1024 KiB \(DM1004\)/],
    ["a tab", "services:\n\tweb: {}\n", /mesh\.yaml:2:1 error: a tab is used for indentation \(DM1007\)/],
    ["a key twice", "services:\n  web: {}\n  web: {}\n", /mesh\.yaml:3:3 error: web is written twice, first on line 2/],
    ["an unknown service", "services: { wbe: { port: 1 } }\n", /mesh\.yaml:1:13 error: .*wbe.*\n {2}hint: .*web/],
    ["an unknown key", "services: { web: { prot: 1 } }\n", /mesh\.yaml:1:20 error: .*prot.*\n {2}hint: .*port/],
    ["a split of no version", "services: { web: { split: { v9: 1 } } }\n", /mesh\.yaml:1:\d+ error: .*v9/],
    ["no YAML", "services: [", /mesh\.yaml:1:\d+ error:/],
    ["no map", "- a\n", /mesh\.yaml:1:1 error: a document must be a map/],
    ["bytes of another encoding", "\ufffe\u0000s", /mesh\.yaml error:|mesh\.yaml:\d+:\d+ error:/],
  ])("%s", async (_why, text, expected) => {
    const project = projectOf({ mesh: text });
    const { code, message, file, hint } = await refused(project, ["up", "-d"], "DM0003").then((told) => {
      expect(told.text).toMatch(expected);
      return told;
    });
    expect([code, file, hint]).toEqual(["DM0003", "mesh.yaml", "nothing was changed"]);
    expect(message).toMatch(/^\d+ errors? in the mesh's configuration$/);
  });

  test("a file that does not exist, a folder, and two candidates", async () => {
    const project = projectOf({ files: { "folder/x": "" } });
    expect((await refused(project, ["-f", "no.yaml", "up", "-d"], "DM0003")).text).toContain("the file does not exist");
    expect((await refused(project, ["-f", "folder", "up", "-d"], "DM0003")).text).toContain("this is a folder");
    project.write("devmesh.yaml", mesh);
    expect((await refused(project, ["up", "-d"], "DM0003")).message).toContain("mesh.yaml and devmesh.yaml");
  });

  test.runIf(isRoot)("a file that may not be read says how to mend it", async () => {
    const project = projectOf({});
    for (const folder of [project.folder, project.stateHome]) chownSync(folder, nobody, nobody);
    chmodSync(path.join(project.folder, "mesh.yaml"), 0o000);
    const { code, stderr } = await asNobody(project, ["up", "-d"]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("no permission to read the file")]);
    expect(stderr).toContain("chmod u+r mesh.yaml");
    await expectNothingMade(project);
  });
});

describe("up with a project that cannot be started", () => {
  test.each<[string, ProblemCode, Case, RegExp]>([
    ["a compose file that is not there", "DM0003", { mesh: `compose: [no.yaml]\n${mesh}` }, /no\.yaml does not exist/],
    ["no compose command", "DM0404", { env: { PATH: "/nonexistent" } }, /neither docker compose nor docker-compose/],
    ["a compose file that is broken", "DM0404", { files: { "compose.yaml": "services:\n  web: [\n" } }, /up failed/],
    [
      "an application's image that is nowhere",
      "DM0404",
      { files: { "compose.yaml": compose.replace(/image: .*/, "image: 127.0.0.1:1/no/image:1") } },
      /up failed/,
    ],
    ["no proxy image", "DM0403", { env: { DEVMESH_PROXY_IMAGE: "devmesh/proxy:none" } }, /is not on the Docker engine/],
    ["a proxy image that is no name", "DM0403", { env: { DEVMESH_PROXY_IMAGE: "../x y" } }, /is no name of an image/],
    ["a project name that is none", "DM0002", { env: { COMPOSE_PROJECT_NAME: "No Name" } }, /is no project name/],
    ["a state folder below a file", "DM0402", { env: { XDG_STATE_HOME: "/etc/hostname" } }, /cannot make .*ENOTDIR/],
    ["a state folder where none can be", "DM0402", { env: { XDG_STATE_HOME: "/proc/none" } }, /cannot make .*ENOENT/],
  ])("%s", async (_why, code, input, message) => {
    const project = projectOf(input);
    expect((await refused(project, ["up", "-d"], code)).message).toMatch(message);
    // Compose makes its network before it looks for images; that is its own.
    await project.compose("down").catch(() => undefined);
  });

  test.runIf(isRoot)("a project's folder that may not be looked into", async () => {
    const { code, stderr } = await asNobody(projectOf({}), ["up", "-d"]);
    expect([code, stderr]).toEqual([3, expect.stringContaining("no permission to look into")]);
  });

  test.runIf(isRoot)("state and runtime folders of somebody else", async () => {
    const project = projectOf({});
    chmodSync(project.folder, 0o755);
    const { code, stderr } = await asNobody(project, ["up", "-d"]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringMatching(/cannot make .*EACCES \(DM0402\)\n {2}hint: set XDG_STATE_HOME/),
    ]);
  });

  test.runIf(isRoot)("a full disk under the state folder, and a read-only one", async ({ skip }) => {
    const project = projectOf({});
    const disk = await mountTmpfs("size=64k,mode=700");
    if (disk === null) return skip("no mounts here");
    fillDisk(disk);
    project.env.XDG_STATE_HOME = disk;
    const full = await refused(project, ["up", "-d"], "DM0402");
    expect(full.message).toMatch(/the disk is full|ENOSPC/);
    await run("mount", ["-o", "remount,ro", disk]);
    expect((await refused(project, ["up", "-d"], "DM0402")).message).toMatch(/EROFS/);
  });

  test("a gateway's port that a process has, and one that a container has", async () => {
    await using server = await listen(() => undefined);
    const busy = (port: number) => `${mesh}gateway: [{ listen: ${port}, to: web }]\n`;
    const project = projectOf({ mesh: busy(server.port) });
    const byProcess = await refused(project, ["up", "-d"], "DM0401");
    expect(byProcess.message).toContain(`the host port 127.0.0.1:${server.port} is in use`);
    const port = await unusedPort();
    const holder = `${project.name}-holder`;
    const image = builtImages().shop;
    await project.docker(
      "run",
      "-d",
      "--name",
      holder,
      "-p",
      `127.0.0.1:${port}:1`,
      "--entrypoint",
      "sleep",
      image,
      "60",
    );
    onTestFinished(async () => void (await project.docker("rm", "-f", holder)));
    project.write("mesh.yaml", busy(port));
    const byContainer = await refused(project, ["up", "-d"], "DM0401");
    expect(byContainer.message).toContain(`the host port 127.0.0.1:${port} is in use`);
    expect(byContainer.message).toContain(holder);
  });
});

describe("a command line that cannot be used: exit code 2, nothing changed", () => {
  test.each<[string, readonly string[], RegExp]>([
    ["an unknown command", ["upp"], /unknown command 'upp'/],
    ["an unknown flag", ["up", "--frob"], /unknown option '--frob'/],
    ["a timeout that is no time", ["up", "--timeout", "soon"], /expected seconds/],
    ["a tail that is no number", ["logs", "--tail", "-1"], /whole number/],
    ["too many arguments", ["status", "x"], /too many arguments/],
    ["a weight that is none", ["split", "web", "v1"], /is no weight/],
    ["no weights", ["split", "web"], /missing required argument/],
    ["a flag without its value", ["-f"], /argument missing/],
    ["an empty file name", ["-f", "", "up"], /--file is empty/],
    ["a project name that is none", ["-p", "No Name", "up", "-d"], /is no project name/],
  ])("%s", async (_why, args, text) => {
    const project = projectOf({});
    const told = await refused(project, args, "DM0002");
    expect(told.message).toMatch(text);
  });
});

describe("commands on a mesh that is not up: exit code 5", () => {
  test.each(["status", "ps", "logs", "metrics"])("%s", async (command) => {
    const project = projectOf({});
    const told = await refused(project, [command], "DM0201");
    expect([told.message, told.hint]).toEqual([
      `no mesh is up for project ${project.name} in ${project.folder}`,
      "start it with: devmesh up",
    ]);
  });
});
