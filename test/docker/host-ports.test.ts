// Every way in which a project's containers reach each other beside services' names, before and under the mesh: ports of the host,
// aliases, links, extra hosts, static addresses. What answered answers, what did not does not.
import { randomInt } from "node:crypto";
import { networkInterfaces } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import { parseMetrics, sumOf } from "../support/prometheus.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
/** Beyond what Docker and the mesh choose from by themselves. */
const subnet = `100.${64 + randomInt(64)}.${randomInt(256)}`;
const web = `${subnet}.40`;
const service = (name: string, more: string): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node", "/apps/neighbour.ts"]
    command: []
    volumes: ["${apps}:/apps:ro"]
    ${more.replaceAll("\n", "\n    ")}`;

interface Ports {
  readonly http: number;
  readonly tcp: number;
  readonly loopback: number;
}
const compose = ({ http, tcp, loopback }: Ports): string => `
services:${service(
  "caller",
  `environment: { NAME: caller, IDLE_TO: web }
networks: [front]
links: ["web:shop"]
extra_hosts: ["host.docker.internal:host-gateway", "legacy:${web}"]`,
)}
${service(
  "web",
  `environment: { NAME: web }
expose: ["8080"]
networks: { front: { ipv4_address: "${web}", aliases: [www] }, back: { aliases: [rear] } }`,
)}
${service(
  "db",
  `environment: { NAME: db }
ports: ["${http}:8080", "${tcp}:3306", "127.0.0.1:${loopback}:8080"]
networks: { back: { aliases: [vault] } }`,
)}
${service("cell", "environment: { NAME: cell }\nnetworks: [closed]")}
networks:
  front: { ipam: { config: [{ subnet: "${subnet}.0/24" }] } }
  back: {}
  closed: { internal: true }
`;
const meshName = `host${process.pid}`;
const mesh = `
name: ${meshName}
mtls: strict
services:
  web: { ports: [8080/http] }
  db: { ports: [8080/http] }
`;

/** How somebody who asks from within a container is answered: by name, or not at all. */
type Answers = Readonly<Record<string, string>>;
interface Seen {
  readonly caller: Answers;
  readonly cell: Answers;
  readonly firstByteMs: Readonly<Record<string, number>>;
}
const state: { project: MeshProject | null; ports: Ports; before: Seen | null; after: Seen | null } = {
  project: null,
  ports: { http: 0, tcp: 0, loopback: 0 },
  before: null,
  after: null,
};
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  const [http = 0, tcp = 0, loopback = 0] = [await unusedPort(), await unusedPort(), await unusedPort()];
  state.ports = { http, tcp, loopback };
  state.project = new MeshProject({ name: "host", compose: compose(state.ports), mesh });
  await project().compose("up", "-d");
  await eventually(async () => expect(await logs("caller")).toContain("idle since now"), 30_000);
  state.before = await look();
  expect(await logs("caller")).not.toContain("idle connection closed");
  await project().up();
  state.after = await look();
});

afterAll(async () => await state.project?.close());

const logs = async (name: string) => await project().docker("logs", await project().container(name));

/** Docker takes the subnet's first address, and does not tell where the project chose the subnet. */
async function gatewayOf(network: string): Promise<string> {
  const format = "{{range .IPAM.Config}}{{.Subnet}}{{end}}";
  const cidr = await project().docker("network", "inspect", "-f", format, `${project().name}_${network}`);
  return cidr.replace(/\.0\/\d+$/, ".1");
}

async function nameOf(name: string): Promise<string> {
  return await project().docker("inspect", "-f", "{{slice .Name 1}}", await project().container(name));
}

/** An address of this machine that is none of Docker's. */
function ownAddress(): string | null {
  const devices = Object.entries(networkInterfaces()).filter(([device]) => !/^(?:docker|br-|veth|lo)/.test(device));
  return devices.flatMap(([, all]) => all ?? []).find(({ family }) => family === "IPv4")?.address ?? null;
}

async function look(): Promise<Seen> {
  const { http, tcp, loopback } = state.ports;
  const [front, closed, own] = [await gatewayOf("front"), await gatewayOf("closed"), ownAddress()];
  const [webName = "", dbName = ""] = [await nameOf("web"), await nameOf("db")];
  const caller = [
    ...["web", "www", "shop", "legacy", webName, web].map((host) => `http://${host}:8080/`),
    ...["db", "vault", "rear", dbName].map((host) => `http://${host}:8080/`),
    ...["host.docker.internal", front, own].flatMap((host) => (host === null ? [] : [`http://${host}:${http}/`])),
    ...["host.docker.internal", front].map((host) => `http://${host}:${loopback}/`),
    ...[`tcp://web:3306`, `tcp://${front}:${tcp}`],
  ];
  const cell = [
    `http://${closed}:${http}/`,
    `http://${front}:${http}/`,
    "http://web:8080/",
    `http://${closed}:${loopback}/`,
  ];
  const names = ["web", "www", "shop", "legacy", "rear", "vault", "db", webName, dbName];
  const asked = await Promise.all([answers("caller", caller, names), answers("cell", cell, [])]);
  return { caller: asked[0], cell: asked[1], firstByteMs: JSON.parse(await project().evaluate("caller", firstBytes)) };
}

async function answers(from: string, urls: readonly string[], names: readonly string[]): Promise<Answers> {
  const script = `
    const net = require("net");
    const http = (url) => fetch(url, { signal: AbortSignal.timeout(5000) }).then((answer) => answer.text(), () => "no answer");
    const tcp = ({ hostname, port }) => new Promise((resolve) => {
      const socket = net.connect(port, hostname).setTimeout(5000, () => socket.destroy());
      socket.once("data", (chunk) => { resolve(String(chunk).trim()); socket.destroy(); });
      socket.on("error", () => socket.destroy()).on("close", () => resolve("no answer"));
    });
    const name = (host) => require("dns").promises.lookup(host).then(() => "resolves", () => "no answer");
    Promise.all([
      ...${JSON.stringify(urls)}.map(async (url) => [url, await (url.startsWith("tcp:") ? tcp(new URL(url)) : http(url))]),
      ...${JSON.stringify(names)}.map(async (host) => [host, await name(host)]),
    ]).then((all) => process.stdout.write(JSON.stringify(Object.fromEntries(all)), () => process.exit()));`;
  return JSON.parse(await project().evaluate(from, script));
}

/** The quickest of five, so that a busy machine does not count. */
const firstBytes = `
  const once = (port) => new Promise((resolve, reject) => {
    const started = performance.now();
    const socket = require("net").connect(port, "web").on("error", reject);
    socket.once("data", () => { resolve(performance.now() - started); socket.destroy(); });
  });
  (async () => {
    const quickest = {};
    for (const port of [3306, 7001]) {
      const times = [];
      for (let i = 0; i < 5; i++) times.push(await once(port));
      quickest[port] = Math.min(...times);
    }
    console.log(JSON.stringify(quickest));
  })();`;

test("every name, address and port that answered answers under the mesh, and no other does", () => {
  const { before, after } = state;
  expect(after?.caller).toEqual(before?.caller);
  expect(after?.cell).toEqual(before?.cell);
  // So that neither side is empty.
  const gone = Object.entries(before?.caller ?? {}).filter(([, answer]) => answer === "no answer");
  expect(gone.length).toBeGreaterThan(4);
  expect(before?.caller).toMatchObject({ [`http://host.docker.internal:${state.ports.http}/`]: "db", www: "resolves" });
});

test("a call at a port of the host is one to the service there, with the caller's identity", async () => {
  await eventually(async () => {
    const { stdout } = await project().cli("metrics");
    const requests = sumOf(parseMetrics(stdout), "istio_requests_total", {
      reporter: "destination",
      source_principal: `spiffe://cluster.local/ns/${meshName}/sa/caller`,
      destination_service_name: "db",
      connection_security_policy: "mutual_tls",
    });
    // By host.docker.internal and by the gateway's address. HTTP by declaration: a busy machine may not say its first bytes in time.
    expect(requests).toBeGreaterThan(1);
  }, 30_000);
});

test("a connection that is older than the mesh and idle is closed at once, not at its next request", async () => {
  await eventually(async () => expect(await logs("caller")).toContain("idle connection closed"), 30_000);
});

test("a server that speaks first is not waited for at its well-known port, and within the limit at an odd one", () => {
  const { before, after } = state;
  console.log(
    `first byte before ${JSON.stringify(before?.firstByteMs)} and under the mesh ${JSON.stringify(after?.firstByteMs)} ms`,
  );
  // Bars: 20 ms more, and the 200 ms of the sniffing limit; three times as much fails.
  expect((after?.firstByteMs[3306] ?? 999) - (before?.firstByteMs[3306] ?? 0)).toBeLessThan(60);
  expect(after?.firstByteMs[7001]).toBeLessThan(600);
});
