// What developers do with compose while the mesh is up: one-off containers, scaling, and what `watch` asks of the engine.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject } from "../support/mesh-project.ts";

const settleMs = 30_000;
/** Answers with the text that it has now, and says which container it is. */
const app = JSON.stringify(`
  const fs = require("fs"), headers = { "x-host": require("os").hostname(), "x-image": process.env.IMAGE_TEXT ?? "first" };
  if (!fs.existsSync("/tmp/text")) fs.writeFileSync("/tmp/text", "as built");
  require("http").createServer((_, response) => response.writeHead(200, headers).end(fs.readFileSync("/tmp/text"))).listen(8080);
  process.on("SIGTERM", () => process.exit(0));`);
const compose = `
services:
  api: { image: "\${DEVMESH_SHOP_IMAGE}", command: ["-e", ${app}], expose: ["8080"] }
  client: { image: "\${DEVMESH_SHOP_IMAGE}", command: ["-e", ${app}] }
`;

const state: { project: MeshProject | null; image: string } = { project: null, image: "" };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

interface Answer {
  readonly host: string;
  readonly image: string;
  readonly text: string;
}

const asking = `fetch("http://api:8080/", { headers: { connection: "close" } }).then(async (r) => console.log(JSON.stringify(
  { host: r.headers.get("x-host"), image: r.headers.get("x-image"), text: await r.text() })))`;
const ask = async (): Promise<Answer> => JSON.parse(await project().evaluate("client", asking));

async function hosts(requests: number): Promise<string[]> {
  const script = `(async () => { const seen = new Set(); for (let i = 0; i < ${requests}; i++)
    seen.add((await fetch("http://api:8080/", { headers: { connection: "close" } })).headers.get("x-host"));
    console.log(JSON.stringify([...seen].sort())); })()`;
  return JSON.parse(await project().evaluate("client", script));
}

const shortId = async (number: number) => (await project().container("api", number)).slice(0, 12);

/** Ids of the mesh's own containers, by label. */
const own = async () => await project().docker("ps", "-aq", "--filter", `label=dev.devmesh.project=${project().name}`);

async function isSettled(workloads: number): Promise<void> {
  const { health, services } = await project().status();
  const ready = services.flatMap((service) => service.workloads).filter(({ sidecar }) => sidecar === "ready");
  expect({ health, ready: ready.length }).toEqual({ health: "ok", ready: workloads });
  expect((await own()).split("\n")).toHaveLength(workloads);
}

beforeAll(async () => {
  state.project = new MeshProject({ name: "ops", compose, mesh: null });
  await project().up();
  await ask();
});

afterAll(async () => {
  await state.project?.close();
  if (state.image !== "") await state.project?.docker("rmi", "-f", state.image).catch(() => undefined);
});

test("a one-off container calls the others, is called by nobody, and is gone with its sidecar", async () => {
  const shown = await project().compose("run", "--rm", "-T", "client", "-e", asking);
  expect(JSON.parse(shown)).toMatchObject({ host: await shortId(1), text: "as built" });
  await eventually(() => isSettled(2), settleMs, 200);
});

test("what is scaled up is called, and what is scaled down is not", async () => {
  await project().compose("up", "-d", "--scale", "api=3");
  const three = (await Promise.all([1, 2, 3].map(shortId))).sort();
  await eventually(async () => expect(await hosts(30)).toEqual(three), settleMs, 200);
  await project().compose("up", "-d", "--scale", "api=1");
  await eventually(async () => expect(await hosts(10)).toEqual([await shortId(1)]), settleMs, 200);
  await eventually(() => isSettled(2), settleMs, 200);
});

test("watch: files that are put into a running container take effect, and commands run in it", async () => {
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-sync-"));
  writeFileSync(path.join(folder, "text"), "synced");
  const api = await project().container("api");
  // PUT /containers/<id>/archive, as watch's sync; then an exec, as sync+exec.
  await project().docker("cp", path.join(folder, "text"), `${api}:/tmp/text`);
  rmSync(folder, { recursive: true });
  expect((await ask()).text).toBe("synced");
  const write = 'require("fs").writeFileSync("/tmp/text2", "x")';
  await project().docker("exec", "-u", "0", api, "node", "-e", write);
  // And sync+restart.
  await project().docker("restart", "-t", "1", api);
  await eventually(async () => expect((await ask()).text).toBe("synced"), settleMs, 100);
  await eventually(() => isSettled(2), settleMs, 200);
});

test("watch: a container is replaced by one of a new image, and callers go on with that one", async () => {
  const { name, docker } = { name: project().name, docker: project().docker.bind(project()) };
  const old = await project().container("api");
  state.image = `${name}-api:latest`;
  const folder = mkdtempSync(path.join(tmpdir(), "devmesh-rebuild-"));
  const shop = project().env.DEVMESH_SHOP_IMAGE;
  writeFileSync(path.join(folder, "Dockerfile"), `FROM ${shop}\nENV IMAGE_TEXT=second\n`);
  await docker("build", "-q", "-t", state.image, folder);
  rmSync(folder, { recursive: true });
  // Compose's own order: the new one is made beside the old, which then stops and goes; its name is taken over.
  const labels: Record<string, string> = JSON.parse(
    await docker("inspect", "--format", "{{json .Config.Labels}}", old),
  );
  const wanted = Object.entries({ ...labels, "com.docker.compose.replace": old });
  const ofCompose = wanted
    .filter(([key]) => key.startsWith("com.docker.compose."))
    .flatMap(([key, text]) => ["--label", `${key}=${text}`]);
  const network = ["--network", `${name}_default`, "--network-alias", "api", "--expose", "8080"];
  const command = [state.image, "-e", JSON.parse(app)];
  const id = await docker("create", "--name", `${old.slice(0, 12)}_${name}`, ...ofCompose, ...network, ...command);
  await docker("stop", "-t", "2", old);
  await docker("rm", old);
  await docker("rename", id, `${name}_api_1`);
  await docker("start", id);
  await eventually(
    async () => expect(await ask()).toEqual({ host: id.slice(0, 12), image: "second", text: "as built" }),
    settleMs,
    100,
  );
  await eventually(() => isSettled(2), settleMs, 200);
  const sidecar = await docker("inspect", "--format", "{{.HostConfig.NetworkMode}}", await project().sidecar("api"));
  expect(sidecar).toBe(`container:${id}`);
});
