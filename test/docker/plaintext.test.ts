// Services that take plaintext, and containers that are told to stop, on real Docker.
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, Load, type Sent } from "../support/load.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { parseMetrics, sumOf } from "../support/prometheus.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
/** From Docker's kill event until its callers send a container nothing new. */
const heardWithinMs = 500;
const slack = 3;
const service = (name: string, command: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ${command}
    environment: { NAME: ${name} }
    expose: ["8080", "7000"]
    volumes: ["${apps}:/apps:ro"]`;
/** Takes SIGTERM for granted: serves on until it is killed. Speaks TCP at 7000. */
const deaf = JSON.stringify([
  "-e",
  `process.on("SIGTERM", () => {});
   const headers = { "x-host": require("os").hostname(), "x-name": process.env.NAME };
   require("http").createServer((_, response) => response.writeHead(200, headers).end("ok")).listen(8080);
   require("net").createServer((socket) => socket.on("error", () => socket.destroy()).pipe(socket)).listen(7000);`,
]);

const meshText = (mtls: string): string => `
name: plain${process.pid}
services:
  client: { port: 8080 }
  api: { port: 8080, ports: [7000/tcp], mtls: ${mtls} }
  solo: { port: 8080 }
`;
const state: { project: MeshProject | null; events: DockerEvents | null } = { project: null, events: null };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  const echo = '["/apps/echo.ts"]';
  state.project = new MeshProject({
    name: "plain",
    compose: `services:${service("client", echo)}${service("api", deaf)}${service("solo", deaf)}\n`,
    mesh: meshText("disable"),
  });
  await project().up("--", "--scale", "api=2");
  state.events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
});

afterAll(async () => {
  await state.events?.[Symbol.asyncDispose]();
  await state.project?.close();
});

const loadOn = async (name: string): Promise<Load> =>
  await Load.inContainer(await project().container("client"), { rate: 50, url: `http://${name}:8080/` });

async function requestsTo(destination: string, security: string, reporter: string): Promise<number> {
  const { stdout } = await project().cli("metrics");
  return sumOf(parseMetrics(stdout), "istio_requests_total", {
    reporter,
    destination_service_name: destination,
    connection_security_policy: security,
  });
}

test("a service with mtls: disable is called in plaintext, HTTP and TCP, by way of its sidecar", async () => {
  const load = await loadOn("api");
  await load.successes(50);
  const sent = await load.stop();
  expect(failures(sent)).toEqual([]);
  await eventually(async () => {
    expect(await requestsTo("api", "none", "destination")).toBe(sent.length);
    expect(await requestsTo("api", "mutual_tls", "destination")).toBe(0);
  });
  const said = await project().evaluate(
    "client",
    `const socket = require("net").connect(7000, "api", () => socket.write("over TCP"));
     socket.on("data", (chunk) => { console.log(String(chunk)); socket.destroy(); });`,
  );
  expect(said).toBe("over TCP");
  expect((await project().status()).health).toBe("ok");
});

test("edits between plaintext and mTLS lose no request", async () => {
  const load = await loadOn("api");
  for (const mtls of ["permissive", "disable", "permissive", "strict", "permissive"]) {
    project().write("mesh.yaml", meshText(mtls));
    await load.successes(50);
  }
  const sent = await load.stop();
  console.log(`plaintext and back under load: ${describeLoad(sent)}`);
  expect(failures(sent)).toEqual([]);
  expect(await requestsTo("api", "mutual_tls", "destination")).toBeGreaterThan(0);
});

test("a container that is told to stop gets nothing new while it has a replica, and all where it is the last", async () => {
  const [one, last] = await Promise.all(["api", "solo"].map((name) => project().container(name)));
  if (one === undefined || last === undefined) return expect.unreachable();
  const loads = await Promise.all(["api", "solo"].map(loadOn));
  await Promise.all(loads.map((load) => load.successes(20)));
  const since = Date.now();
  await Promise.all([one, last].map((id) => project().docker("stop", "-t", "4", id)));
  const [api = [], solo = []] = await Promise.all(loads.map((load) => load.stop()));
  const by = (sent: readonly Sent[], id: string) => sent.filter(({ host }) => id.startsWith(host) && host !== "");
  const times = async (id: string) => ({
    killMs: (await state.events?.at(id, "kill", since)) ?? 0,
    dieMs: (await state.events?.at(id, "die", since)) ?? 0,
  });
  const { killMs, dieMs } = await times(one);
  const after = by(api, one).filter(({ start }) => start > killMs);
  const heardMs = Math.max(0, ...after.map(({ start }) => start - killMs));
  console.log(
    `told to stop ${Math.round(dieMs - killMs)} ms before its end: last sent to ${Math.round(heardMs)} ms after; ${describeLoad(api)}`,
  );
  expect(heardMs).toBeLessThan(heardWithinMs * slack);
  expect(failures(api)).toEqual([]);
  const whole = await times(last);
  const meanwhile = solo.filter(({ start }) => start > whole.killMs && start < whole.dieMs - 500);
  expect(meanwhile.length).toBeGreaterThan(20);
  expect(failures(meanwhile)).toEqual([]);
  expect(by(meanwhile, last).length).toBe(meanwhile.length);
});
