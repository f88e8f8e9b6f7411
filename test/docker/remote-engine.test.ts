// An engine that is somewhere else: by TLS, by a context, by ssh, from a network namespace without a way to any container.
import { execFile, execFileSync } from "node:child_process";
import { rmSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { FarEngine } from "../support/far-engine.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import { echoService } from "../support/refused.ts";
import { builtImages } from "../support/shop-project.ts";

const run = promisify(execFile);
const root = path.resolve(import.meta.dirname, "../..");
const program = path.join(root, "dist/devmesh.mjs");
const apps = path.join(root, "test/support/apps");
const withinMs = 30_000;
const state: { far: FarEngine | null; project: MeshProject | null; ports: readonly [number, number] } = {
  far: null,
  project: null,
  ports: [0, 0],
};
const far = (): FarEngine => state.far ?? expect.unreachable("there is no far engine");
const project = (): MeshProject => state.project ?? expect.unreachable("there is no project");
const docker = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" }).trim();

/** Runs in the namespace, as a user there would. */
async function inNamespace(...command: string[]): Promise<string> {
  const [file = "", ...args] = [...far().wrapper, ...command];
  return (await run(file, args, { env: process.env })).stdout.trim();
}

async function fetchThere(url: string): Promise<string> {
  const script = `process.stdout.write((await fetch(${JSON.stringify(url)})).headers.get("x-name") ?? "nobody")`;
  return await inNamespace(process.execPath, "--input-type=module", "-e", script);
}

function meshFile(weights: string, [open, closed]: readonly [number, number]): string {
  return `services:
  payment:
    port: 8080
    versions: { v1: { container: payment-v1 }, v2: { container: payment-v2 } }
    split: ${weights}
gateway:
  - { listen: "0.0.0.0:${open}", to: payment }
  - { listen: ${closed}, to: payment }
`;
}

beforeAll(async () => {
  state.far = await FarEngine.open();
  state.ports = [await unusedPort(), await unusedPort()];
  state.project = new MeshProject({
    name: "far",
    compose: `services:${echoService("payment-v1")}${echoService("payment-v2")}\n`,
    mesh: meshFile("{ v1: 1, v2: 0 }", state.ports),
    wrapper: far().wrapper,
    env: { DOCKER_CONFIG: far().files.config, DOCKER_CONTEXT: "far" },
  });
});
afterAll(async () => {
  await state.project?.close();
  await state.far?.close();
});

describe("by a context, with certificates", () => {
  test("up works where no container can be reached, with compose on the same engine", async () => {
    const { ms, stderr } = await project().up();
    console.log(`up on a far engine: ${Math.round(ms)} ms`);
    expect(stderr).toContain("compose up -d");
    expect(far().connections).toBeGreaterThan(2);
    const address = docker(
      "inspect",
      "-f",
      "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}",
      await project().container("payment-v1"),
    ).split(" ");
    for (const one of address) {
      await expect(inNamespace("ip", "route", "get", one)).rejects.toThrow("Network is unreachable");
    }
  });

  test("the status names the engine's machine, and what only it can open", async () => {
    const [open, closed] = state.ports;
    const { health, gateways } = await project().status();
    expect(health).toBe("ok");
    expect(gateways).toMatchObject([
      { url: `http://${far().host}:${open}`, state: "ready", reason: "" },
      {
        url: `http://${far().host}:${closed}`,
        reason: expect.stringContaining(`ssh -L ${closed}:127.0.0.1:${closed}`),
      },
    ]);
  });

  test("an edit has its effect, and the log is read from there", async () => {
    const url = `http://${far().host}:${state.ports[0]}/`;
    expect(await fetchThere(url)).toBe("payment-v1");
    project().write("mesh.yaml", meshFile("{ v1: 0, v2: 1 }", state.ports));
    await eventually(async () => expect(await fetchThere(url)).toBe("payment-v2"), withinMs);
    const { stdout } = await project().cli("logs", "payment");
    expect(stdout).toMatch(/payment-v1 listens/);
    expect(stdout).toMatch(/"GET \/ HTTP/);
  });

  test("a daemon that was killed is revived on that engine, whatever is the current one now", async () => {
    const { pid } = await project().status();
    process.kill(pid, "SIGKILL");
    const before = far().connections;
    const { DOCKER_CONTEXT: _, ...env } = project().env;
    Object.assign(project(), { env: { ...env, DOCKER_HOST: "unix:///nowhere/docker.sock" } });
    const after = await project().status();
    expect([after.health, after.pid === pid]).toEqual(["ok", false]);
    expect(far().connections).toBeGreaterThan(before);
  });

  test("down removes everything there, by compose too, and needs no variable", async () => {
    await project().down();
    const filters = [
      `label=com.docker.compose.project=${project().name}`,
      `label=dev.devmesh.project=${project().name}`,
    ];
    for (const filter of filters) {
      expect(docker("ps", "-aq", "--filter", filter)).toBe("");
      expect(docker("network", "ls", "-q", "--filter", filter)).toBe("");
    }
  });
});

interface Told {
  readonly id: string;
  readonly status: string;
  readonly what: string;
  readonly hint: string;
}

/** The doctor's findings, from there. `image` names none where no container need be made. */
async function examined(env: NodeJS.ProcessEnv, { image = "devmesh/none:1", wrapper = far().wrapper } = {}) {
  const [file = "", ...args] = [...wrapper, process.execPath, program, "doctor", "--json"];
  const options = { cwd: project().stateHome, env: { ...process.env, DEVMESH_PROXY_IMAGE: image, ...env } };
  const ended = await run(file, args, options).catch(
    (error: { code: number; stdout: string; stderr: string }) => error,
  );
  const told = JSON.parse(ended.stdout || expect.unreachable(ended.stderr)) as Told[];
  return { code: "code" in ended ? ended.code : 0, told, docker: told.find(({ id }) => id === "docker") };
}

describe("which engine is used", () => {
  test("DOCKER_HOST with DOCKER_TLS_VERIFY and DOCKER_CERT_PATH; all that a mesh needs works from there", async () => {
    const { code, docker, told } = await examined(far().tlsEnv, { image: builtImages().proxy });
    expect(docker).toMatchObject({ status: "ok", what: expect.stringContaining(`${far().url} (from DOCKER_HOST)`) });
    expect(told.filter(({ status }) => status === "fail")).toEqual([]);
    expect(told.map(({ id }) => id)).toContain("dns");
    expect(code).toBe(0);
  });

  test("the current context of DOCKER_CONFIG", async () => {
    far().useContext("far");
    const { docker } = await examined({ DOCKER_CONFIG: far().files.config });
    expect(docker?.what).toContain(`${far().url} (from the Docker context far)`);
  });

  test("a rootless engine's socket, where there is no other", async () => {
    const folder = project().stateHome;
    const script = [
      `touch ${folder}/docker.sock && mount --bind /var/run/docker.sock ${folder}/docker.sock`,
      'mount -t tmpfs tmpfs /run && exec "$@"',
    ].join(" && ");
    const { docker } = await examined(
      { XDG_RUNTIME_DIR: folder },
      { wrapper: ["unshare", "--mount", "sh", "-c", script, "sh"] },
    );
    expect(docker?.what).toContain(`unix://${folder}/docker.sock (from the usual sockets)`);
  });

  test.each([
    ["no certificates at all", "/nowhere"],
    ["the engine's CA, and none of one's own", "authorities"],
  ])("with %s the door stays shut: exit code 4, and what is missing", async (_why, name) => {
    const folder = path.join(far().files.certificates, name);
    const { code, docker } = await examined({ ...far().tlsEnv, DOCKER_CERT_PATH: folder });
    expect(code).toBe(4);
    expect(docker).toMatchObject({
      status: "fail",
      what: expect.stringContaining(`no Docker engine answers at ${far().url}`),
      hint: expect.stringContaining("cert.pem and key.pem"),
    });
  });
});

describe("by ssh, as the user's own configuration says", () => {
  test("up, status and down work on a container that runs there", async () => {
    await far().openSsh("engine-box");
    const name = `t${process.pid}ssh`;
    const labels = ["mesh", "service"].flatMap((key) => ["--label", `devmesh.${key}=${key === "mesh" ? name : "web"}`]);
    const app = [
      "-v",
      `${apps}:/apps:ro`,
      "--expose",
      "8080",
      "--entrypoint",
      "node",
      builtImages().shop,
      "/apps/echo.ts",
    ];
    docker("run", "-d", "--init", "--name", name, ...labels, ...app);
    const one = new MeshProject({
      name: "ssh",
      compose: "services: {}\n",
      mesh: `name: ${name}\nservices: { web: { port: 8080 } }\ngateway: [{ listen: ${await unusedPort()}, to: web }]\n`,
      wrapper: far().wrapper,
      env: { DOCKER_HOST: "ssh://engine-box" },
    });
    rmSync(path.join(one.folder, "compose.yaml"));
    try {
      const { ms } = await one.up("--no-compose");
      console.log(`up by ssh: ${Math.round(ms)} ms`);
      const { health, services, gateways } = await one.status();
      expect([health, services.map((service) => service.name)]).toEqual(["ok", ["web"]]);
      expect(gateways[0]).toMatchObject({ url: expect.stringContaining("http://engine-box:"), state: "ready" });
      await one.down("--no-compose");
      expect(docker("ps", "-aq", "--filter", `label=dev.devmesh.mesh=${name}`)).toBe("");
    } finally {
      docker("rm", "-f", name);
      await one.close();
    }
  });
});
