// What may go wrong around a mesh that is up: a second up, another folder, full disks, ports and names that are taken.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { echoService, fillDisk, isRoot, listen, mountTmpfs, refused, type Told } from "../support/refused.ts";
import { builtImages } from "../support/shop-project.ts";

const compose = `services:${echoService("web")}\n`;
const mesh = "services: { web: { port: 8080 } }\n";

describe("while a mesh is up", () => {
  let project: MeshProject;

  beforeAll(async () => {
    project = new MeshProject({
      // A folder as people have them: blanks, other letters, and far longer than a socket's path may be.
      name: "bad",
      compose: `services:${echoService("web")}${echoService("hosted", "network_mode: host").replace("NAME: hosted", 'NAME: hosted, PORT: "0"').replace('expose: ["8080"]', "")}\n`,
      mesh,
    });
    const deep = path.join(project.folder, "Päckchen & Söhne", "x".repeat(120));
    mkdirSync(deep, { recursive: true });
    for (const file of ["compose.yaml", "mesh.yaml"]) {
      writeFileSync(path.join(deep, file), readFileSync(path.join(project.folder, file)));
      rmSync(path.join(project.folder, file));
    }
    const runtime = path.join(project.stateHome, "r".repeat(120));
    mkdirSync(runtime);
    Object.assign(project, { folder: deep, env: { ...project.env, XDG_RUNTIME_DIR: runtime } });
    await project.up();
  });

  afterAll(async () => {
    await project.close();
    rmSync(path.resolve(project.folder, "../.."), { recursive: true, force: true });
  });

  test("a container without a network of its own is listed with its reason, by up and by status", async () => {
    const { unmeshed, health } = await project.status();
    expect(unmeshed).toEqual([
      {
        container: `${project.name}_hosted_1`,
        service: "hosted",
        reason: expect.stringContaining("network_mode host"),
      },
    ]);
    expect(health).toBe("ok");
    const { stderr } = await project.up();
    expect(stderr).toContain(`not in the mesh: ${project.name}_hosted_1: network_mode host`);
  });

  test("a second up says so, starts what is missing, and leaves what runs", async () => {
    const before = await project.sidecar("web");
    await project.docker("rm", "-f", await project.container("hosted"));
    const { stderr, code } = await project.cli("up", "-d");
    expect([code, stderr]).toEqual([0, expect.stringContaining(`the mesh of ${project.name} is up already`)]);
    expect(await project.sidecar("web")).toBe(before);
    expect(await project.container("hosted")).not.toBe("");
  });

  test("two ups at the same time both end well, and so do two at the very start", async () => {
    const both = await Promise.all([project.cli("up", "-d", "--no-compose"), project.cli("up", "-d", "--no-compose")]);
    expect(both.map(({ code }) => code)).toEqual([0, 0]);
    const { pid } = await project.status();
    process.kill(pid, "SIGKILL");
    const again = await Promise.all([1, 2, 3].map(() => project.cli("up", "-d", "--no-compose")));
    expect(again.map(({ code, stderr }) => (code === 0 ? 0 : stderr))).toEqual([0, 0, 0]);
    expect((await project.status()).health).toBe("ok");
  });

  test("up waits for its timeout and says what is missing: exit code 6", async () => {
    // A name that somebody else has: the second web gets no sidecar.
    const name = `devmesh-${project.name}_web_2`;
    await project.docker("create", "--name", name, builtImages().shop);
    onTestFinished(async () => {
      await project.docker("rm", "-f", name);
      await project.up();
    });
    const started = performance.now();
    const told = await project.cli("--json", "up", "-d", "--timeout", "1", "--", "--scale", "web=2");
    expect(told.code).toBe(6);
    const { code, message, hint } = JSON.parse(told.stderr.trim().split("\n").at(-1) ?? "") as Told;
    expect([code, message]).toEqual(["DM0301", expect.stringContaining(`${project.name}_web_2`)]);
    expect(hint).toContain("devmesh status");
    console.log(`up --timeout 1 gave up after ${(performance.now() - started).toFixed(0)} ms, compose included`);
  });

  test("a broken file, another one, and a missing one change nothing that serves", async () => {
    project.write("mesh.yaml", "services: {");
    expect(await project.cli("up", "-d")).toMatchObject({ code: 3 });
    await eventually(async () => expect((await project.status()).config.isInSync).toBe(false));
    expect((await project.cli("status")).code).toBe(7);
    rmSync(path.join(project.folder, "mesh.yaml"));
    await eventually(async () => expect((await project.status()).config.diagnostics[0]?.code).toBe("DM1001"));
    project.write("mesh.yaml", mesh);
    await eventually(async () => expect((await project.status()).health).toBe("ok"));
  });

  test("another folder cannot have a mesh of the same name, and is told whose it is", async () => {
    const other = new MeshProject({ name: "bad2", compose, mesh: `name: ${project.name}\n${mesh}` });
    onTestFinished(() => other.close());
    const told = await refused(other, ["up", "-d"], "DM0405");
    expect(told.message).toContain(`the mesh of project ${project.name} in another folder`);
    expect((await project.status()).health).toBe("ok");
  });

  test("a compose that fails leaves the mesh that was up", async () => {
    const text = readFileSync(path.join(project.folder, "compose.yaml"), "utf8");
    onTestFinished(() => project.write("compose.yaml", text));
    project.write("compose.yaml", "services: [");
    const { code, stderr } = await project.cli("up", "-d");
    expect([code, stderr]).toEqual([1, expect.stringContaining("the mesh stays up")]);
    expect((await project.status()).health).toBe("ok");
  });

  test("a port of the application that is taken ends a first up, and the mesh is not left behind", async () => {
    await using server = await listen(() => undefined);
    const clash = new MeshProject({
      name: "bad3",
      compose: `services:${echoService("web", `ports: ["127.0.0.1:${server.port}:8080"]`)}\n`,
      mesh,
    });
    onTestFinished(() => clash.close());
    const { code, stderr } = await clash.cli("up", "-d");
    expect([code, stderr]).toEqual([1, expect.stringContaining("the mesh was taken down again")]);
    expect(stderr).toContain(`the host port 127.0.0.1:${server.port} of service web is in use`);
    expect((await clash.cli("status")).code).toBe(5);
  });

  test.runIf(isRoot)("a disk that fills while it runs stops neither edits nor down", async ({ skip }) => {
    const disk = await mountTmpfs("size=512k,mode=700");
    if (disk === null) return skip("no mounts here");
    const filled = new MeshProject({ name: "bad4", compose, mesh });
    filled.env.XDG_STATE_HOME = disk;
    filled.env.XDG_RUNTIME_DIR = filled.stateHome;
    onTestFinished(() => filled.close());
    await filled.up();
    fillDisk(disk);
    filled.write("mesh.yaml", "services: { web: { port: 8080, timeout: 3s } }\n");
    await eventually(async () => expect((await filled.status()).config.revision).toBe(2));
    expect(await filled.status()).toMatchObject({ health: "ok", config: { isInSync: true } });
    process.kill((await filled.status()).pid, "SIGKILL");
    await filled.down();
    expect(readdirSync(path.join(disk, "devmesh"))).toEqual([]);
  });
});
