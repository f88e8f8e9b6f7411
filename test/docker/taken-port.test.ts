// A host port that the compose file publishes and somebody else has: who, and nothing is left half started.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MeshProject } from "../support/mesh-project.ts";
import { echoService } from "../support/refused.ts";
import { builtImages } from "../support/shop-project.ts";

const holder = createServer((socket) => socket.destroy());
const state: { project: MeshProject | null; port: number } = { project: null, port: 0 };
const project = (): MeshProject => state.project ?? expect.unreachable("there is no project");
const docker = (...args: string[]): string => execFileSync("docker", args, { encoding: "utf8" }).trim();
const compose = (ports: string): string =>
  `services:${echoService("db")}${echoService("web", `ports: ["${ports}"]\n    depends_on: [db]`)}\n`;

function leftOver(): string[] {
  const filters = [`label=com.docker.compose.project=${project().name}`, `label=dev.devmesh.project=${project().name}`];
  return filters.flatMap((filter) => [
    docker("ps", "-aq", "--filter", filter),
    docker("network", "ls", "-q", "--filter", filter),
  ]);
}

beforeAll(async () => {
  holder.listen(0, "127.0.0.1");
  await once(holder, "listening");
  state.port = (holder.address() as AddressInfo).port;
  state.project = new MeshProject({ name: "taken", compose: compose(`127.0.0.1:${state.port}:8080`), mesh: null });
});
afterAll(async () => {
  await state.project?.close();
  if (holder.listening) holder.close();
});

test("a process has it: the port, the service and the process are named, and all is as before", async () => {
  const { code, stderr } = await project().cli("up", "-d");
  const last = stderr.slice(stderr.lastIndexOf("ERR "));
  expect(last).toMatch(
    new RegExp(
      `^ERR the host port 127\\.0\\.0\\.1:${state.port} of service web is in use by .+ \\(process ${process.pid}\\) \\(DM0401\\)`,
    ),
  );
  expect(last).toContain("the mesh was taken down again, with what compose had started");
  expect(code).toBe(1);
  expect(leftOver().join("")).toBe("");
  expect((await project().cli("status")).code).toBe(5);
});

test("a container of another project has it, and the mesh was up: it is named, and what runs stays", async () => {
  project().write("compose.yaml", compose("127.0.0.1::8080"));
  await project().up();
  holder.close();
  await once(holder, "close");
  const other = `${project().name}-other`;
  const labels = ["--label", "com.docker.compose.project=bystander"];
  const publish = ["-p", `127.0.0.1:${state.port}:8080`, "--entrypoint", "sleep", builtImages().shop, "600"];
  docker("run", "-d", "--init", "--name", other, ...labels, ...publish);
  try {
    project().write("compose.yaml", compose(`127.0.0.1:${state.port}:8080`));
    const db = await project().container("db");
    const { code, stderr } = await project().cli("--json", "up");
    expect(code).toBe(1);
    expect(JSON.parse(stderr.trim().split("\n").at(-1) ?? "")).toMatchObject({
      code: "DM0401",
      message: `the host port 127.0.0.1:${state.port} of service web is in use by the container ${other} of the project bystander`,
      hint: expect.stringContaining("the mesh stays up"),
    });
    expect(await project().container("db")).toBe(db);
    const { services } = await project().status();
    expect(services.find(({ name }) => name === "db")?.workloads[0]).toMatchObject({ sidecar: "ready" });
  } finally {
    docker("rm", "-f", other);
  }
});
