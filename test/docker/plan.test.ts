// `up --plan` on real Docker: it says what `up` then does, and it changes nothing.
import { readdirSync, readFileSync, statSync } from "node:fs";
import { createServer } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { PlannedWorkload, PlanView } from "../../daemon/api/plan-view.ts";
import type { StatusView } from "../../daemon/api/view.ts";
import { daemonsOf } from "../support/daemons.ts";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

/** Only bounds a failure. */
const deadlineMs = 30_000;

/** Serves HTTP at 8080 and holds a connection to web at 7000, if it is told to: then it says when that ends. */
const app = JSON.stringify([
  "-e",
  `process.on("SIGTERM", () => process.exit(0));
   require("http").createServer((_, response) => response.end("ok")).listen(8080);
   require("net").createServer((socket) => socket.on("error", () => {}).resume()).listen(7000);
   const hold = () => {
     const socket = require("net").connect(7000, "web", () => console.log("connected"));
     const timer = setInterval(() => socket.write("x"), 200);
     socket.on("error", () => {}).on("close", () => { clearInterval(timer); setTimeout(hold, 200); });
   };
   if (process.env.HOLD === "yes") hold();`,
]);
const service = (name: string, more: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ${app}
    ${more}`;
const idle = (name: string, mode: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["-e", "process.on('SIGTERM', () => process.exit(0)); setInterval(() => {}, 1000)"]
    network_mode: ${mode}`;
const composeText = (ports: { readonly web: number; readonly udp: number }, apiExtra = ""): string => `services:${[
  service(
    "web",
    `ports: ["127.0.0.1:${ports.web}:8080", "7000", "127.0.0.1:${ports.udp}:53/udp"]\n    networks: [front, back]`,
  ),
  service("api", `expose: ["8080", "5432"]\n    networks: [back]\n    scale: 2${apiExtra}`),
  service("holder", `environment: { HOLD: "yes" }\n    networks: [front]`),
  service(
    "checked",
    `networks: [back]\n    healthcheck: { test: ["CMD", "true"], interval: 1s }\n    labels: { traffic.sidecar.istio.io/excludeInboundPorts: "7000" }`,
  ),
  service("quiet", `networks: [back]\n    labels: { devmesh.inject: "false" }`),
  idle("sharing", "service:web"),
  idle("host", "host"),
  `
  store:
    image: \${DEVMESH_REDIS_IMAGE}
    networks: [back]`,
].join("")}
networks: { front: {}, back: { internal: true } }
`;
const meshText = (port: number): string => `
name: plan${process.pid}
services:
  web: { port: 8080 }
  api: { allow: [{ from: web }] }
gateway: [{ listen: ${port}, to: web }]
`;

interface Seen {
  readonly plan: PlanView;
  readonly status: StatusView;
  /** Ids of containers that were paused on the way. */
  readonly paused: ReadonlySet<string>;
}
const ports = { web: 0, udp: 0, gateway: 0 };
const state: { project: MeshProject | null; seen: Seen | null } = { project: null, seen: null };
const project = (): MeshProject => state.project ?? expect.unreachable("there is no project");
const seen = (): Seen => state.seen ?? expect.unreachable("the mesh is not up");

async function planOf(...args: readonly string[]): Promise<PlanView> {
  const { code, stdout, stderr } = await project().cli("up", "--plan", "--json", ...args);
  expect(stderr).toBe("");
  expect(code).toBe(0);
  return JSON.parse(stdout) as PlanView;
}

const workloadsOf = ({ services }: PlanView): readonly PlannedWorkload[] =>
  services.flatMap(({ workloads }) => workloads);

/** Everything of this project on the engine and on disk, and its daemons. */
async function everything(): Promise<unknown> {
  const { name, folder, stateHome } = project();
  const of = `label=com.docker.compose.project=${name}`;
  const ours = ["sidecar", "gateway"].map((kind) => `label=dev.devmesh.kind=${kind}`);
  const format = "{{.ID}} {{.Names}} {{.Status}}";
  const list = async (...args: readonly string[]) => (await project().docker(...args)).split("\n").sort();
  // A daemon that runs goes on with its own work: one-shots, and notes of who serves.
  const daemons = daemonsOf(name);
  const isQuiet = daemons.length === 0;
  const own = ours.map((kind) =>
    list("ps", "-a", "--format", format, "--filter", `label=dev.devmesh.project=${name}`, "--filter", kind),
  );
  return {
    containers: (await list("ps", "-a", "--filter", of, "--format", format)).map(withoutTime),
    own: (await Promise.all(own)).flat().map(withoutTime),
    networks: await list("network", "ls", "--no-trunc", "--format", "{{.ID}} {{.Name}}", "--filter", `name=${name}`),
    mesh: await list("network", "ls", "-q", "--filter", `label=dev.devmesh.project=${name}`),
    volumes: await list("volume", "ls", "--filter", of, "--format", "{{.Name}}"),
    files: [filesIn(folder), isQuiet ? filesIn(stateHome) : readdirSync(path.join(stateHome, "devmesh"))],
    daemons,
  };
}

/** "Up 3 seconds (healthy)" -> "Up" */
const withoutTime = (line: string): string => line.replace(/ (Up|Exited|Created).*$/, " $1");

function filesIn(folder: string): readonly string[] {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files
    .map(({ parentPath, name }) => path.join(parentPath, name))
    .filter((file) => !file.endsWith("daemon.log"))
    .map((file) => `${file} ${statSync(file).mtimeMs} ${readFileSync(file, "latin1").length}`)
    .sort();
}

beforeAll(async () => {
  Object.assign(ports, { web: await unusedPort(), udp: await unusedPort(), gateway: await unusedPort() });
  state.project = new MeshProject({ name: "plan", compose: composeText(ports), mesh: meshText(ports.gateway) });
  const before = await everything();
  const plan = await planOf();
  const { code, stdout } = await project().cli("up", "--plan");
  expect(code).toBe(0);
  expect(stdout).toContain("nothing was changed");
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(await everything()).toEqual(before);
  // Live, since the engine keeps only its last 256 events.
  await using events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
  await project().up();
  const paused = new Set(events.seen.filter(({ action }) => action === "pause").map(({ id }) => id));
  state.seen = { plan, status: await project().status(), paused };
});
afterAll(() => state.project?.close());

test("the plan names the containers that compose then makes, with their networks and the mesh's", async () => {
  const { plan } = seen();
  expect(plan).toMatchObject({ isUp: false, problems: [], notes: [], diagnostics: [], removed: [] });
  const containers = plan.compose?.containers ?? [];
  expect(containers.map(({ action }) => action)).toEqual(containers.map(() => "create"));
  const names = await project().docker(
    ...["ps", "-a", "--filter", `label=com.docker.compose.project=${project().name}`, "--format", "{{.Names}}"],
  );
  expect(containers.map(({ container }) => container).sort()).toEqual(names.split("\n").sort());
  for (const { container, networks, joinsMesh } of workloadsOf(plan)) {
    const format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}} {{end}}";
    const attached = (await project().docker("inspect", "--format", format, container)).trim().split(" ").sort();
    expect(joinsMesh).toBe(true);
    expect(attached).toEqual([...networks, plan.network.name].sort());
  }
  const format = "{{(index .IPAM.Config 0).Subnet}}";
  expect(await project().docker("network", "inspect", "--format", format, plan.network.name)).toBe(plan.network.subnet);
});

test("the plan names the sidecars, ports and open ports of the status", () => {
  const { plan, status } = seen();
  const ready = status.services.flatMap(({ workloads }) =>
    workloads.map(({ container, sidecar }) => [container, sidecar]),
  );
  expect(ready.sort()).toEqual(
    workloadsOf(plan)
      .map(({ container }) => [container, "ready"])
      .sort(),
  );
  expect(workloadsOf(plan).every(({ sidecar }) => sidecar === "create")).toBe(true);
  const portsOf = (view: PlanView | StatusView) =>
    view.services.map(({ name, mtls, ports }) => [
      name,
      mtls,
      ports.map(({ number, protocol }) => `${number}/${protocol}`),
    ]);
  expect(portsOf(plan)).toEqual(portsOf(status));
  const open = plan.services.map(({ name, workloads }) => {
    const published = workloads.flatMap((one) =>
      one.open.filter(({ kind }) => kind === "published" || kind === "direct"),
    );
    return [name, published.map(({ what }) => Number(what)).sort()];
  });
  expect(open).toEqual(status.services.map(({ name, openPorts }) => [name, [...openPorts].sort()]));
});

test("the plan says why a port is there, and what it speaks", () => {
  const ports = seen().plan.services.flatMap((service) =>
    service.ports.map((port) => [service.name, port.number, port.protocol, port.source, port.protocolSource]),
  );
  expect(ports).toContainEqual(["web", 8080, "http", "mesh.yaml", "mesh.yaml"]);
  expect(ports).toContainEqual(["api", 5432, "tcp", "expose", "well-known"]);
  expect(ports).toContainEqual(["api", 8080, "auto", "expose", "sniffed"]);
  expect(ports).toContainEqual(["store", 6379, "tcp", "image", "image"]);
});

test("the plan says who is held, who is guarded, and who stays out and why", () => {
  const { plan, status, paused } = seen();
  const startOf = (start: string) =>
    workloadsOf(plan)
      .filter((one) => one.start === start)
      .map(({ container }) => container);
  const workloads = status.services.flatMap((service) => service.workloads);
  const held = workloads.filter(({ id }) => paused.has(id)).map(({ container }) => container);
  // On a busy machine the engine is sometimes too late to freeze one; the guard then does the work.
  expect(startOf("held")).toEqual(expect.arrayContaining(held));
  expect(held.length).toBeGreaterThan(0);
  expect(startOf("guarded")).toEqual(
    workloadsOf(plan)
      .filter(({ container }) => /checked/.test(container))
      .map(({ container }) => container),
  );
  expect(plan.unmeshed.map(({ container, service, reason }) => ({ container, service, reason }))).toEqual(
    status.unmeshed,
  );
  expect(plan.unmeshed.map(({ service }) => service).sort()).toEqual(["host", "quiet", "sharing"]);
  expect(plan.gateways).toMatchObject([
    { listen: `127.0.0.1:${ports.gateway}`, to: "web", action: "create", busy: null },
  ]);
  expect(status.gateways).toMatchObject([{ listen: `127.0.0.1:${ports.gateway}`, to: "web", state: "ready" }]);
});

test("the plan lists what stays open: UDP, excluded and published ports", () => {
  const openOf = (name: string) =>
    workloadsOf(seen().plan)
      .filter(({ container }) => container.includes(name))
      .flatMap(({ open }) => open);
  expect(openOf("web").map(({ kind, what, host }) => [kind, what, host])).toEqual([
    ["published", "7000", null],
    ["published", "8080", `127.0.0.1:${ports.web}`],
    ["udp", "53/udp", `127.0.0.1:${ports.udp}`],
  ]);
  expect(openOf("checked")).toMatchObject([{ kind: "excluded-inbound", what: "7000" }]);
});

test("on a mesh that is up there is nothing to do, with a daemon and without one", async () => {
  const check = async (): Promise<void> => {
    const before = await everything();
    const plan = await planOf();
    expect(await everything()).toEqual(before);
    expect(plan).toMatchObject({
      isUp: true,
      network: { action: "keep" },
      gateways: [{ action: "keep" }],
      removed: [],
    });
    expect(new Set(plan.compose?.containers.map(({ action }) => action))).toEqual(new Set(["keep"]));
    expect(workloadsOf(plan).map(({ sidecar, start, joinsMesh }) => [sidecar, start, joinsMesh])).toEqual(
      workloadsOf(plan).map(() => ["keep", "attached", false]),
    );
  };
  await check();
  const { pid } = await project().status();
  process.kill(pid, "SIGKILL");
  await eventually(() => expect(daemonsOf(project().name)).toEqual([]), deadlineMs);
  await check();
});

test("a changed compose file is a container made anew, and an error in mesh.yaml is exit code 3", async () => {
  project().write("compose.yaml", composeText(ports, '\n    environment: { CHANGED: "yes" }'));
  const { compose } = await planOf("--", "api");
  expect(compose?.containers.map(({ service: name, action }) => [name, action])).toEqual([
    ["api", "recreate"],
    ["api", "recreate"],
  ]);
  project().write("compose.yaml", composeText(ports));
  project().write("mesh.yaml", meshText(ports.gateway).replace("to: web", "to: nobody"));
  const { code, stderr, stdout } = await project().cli("up", "--plan");
  expect([code, stdout]).toEqual([3, ""]);
  expect(stderr).toMatch(/mesh\.yaml:\d+:\d+ error: .*nobody/);
  project().write("mesh.yaml", meshText(ports.gateway));
});

test("of containers that run without the mesh the plan counts what is reset, and the port that is taken", async () => {
  await project().down("--no-compose");
  const holder = await project().container("holder");
  const connected = async () => (await project().docker("logs", holder)).split("connected").length - 1;
  const openOf = (plan: PlanView) => workloadsOf(plan).find(({ container }) => container.includes("holder"));
  await eventually(async () => expect(openOf(await planOf("--no-compose"))?.resets).toBe(1), deadlineMs);
  const times = await connected();
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(ports.gateway, "127.0.0.1", resolve));
  const plan = await planOf("--no-compose");
  await new Promise((resolve) => taken.close(resolve));
  expect(plan.compose).toBeNull();
  expect(openOf(plan)).toMatchObject({ sidecar: "create", start: "running", resets: 1 });
  expect(plan.gateways[0]?.busy).toMatch(/^in use/);
  expect(plan.problems).toMatchObject([{ code: "DM0401" }]);
  await project().up("--no-compose");
  await eventually(async () => expect(await connected()).toBeGreaterThan(times), deadlineMs);
});
