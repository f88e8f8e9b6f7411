// What goes past the proxies on real Docker: counted by edge and cause, told from what was cut, and enough to fail a CI job.
import { afterAll, beforeAll, expect, test } from "vitest";
import type { BypassEdgeView, StatusView } from "../../daemon/api/view.ts";
import { eventually } from "../support/eventually.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { parseMetrics, sumOf } from "../support/prometheus.ts";

/** Echoes UDP at 5000, and says at 8080 and 9000 from which port it is called. */
const stats = `
  process.on("SIGTERM", () => process.exit(0));
  const udp = require("dgram").createSocket("udp4").bind(5000);
  udp.on("message", (message, from) => udp.send(message, from.port, from.address));
  const answer = ({ socket }, response) => response.end(String(socket.remotePort));
  for (const port of [8080, 9000]) require("http").createServer(answer).listen(port, "0.0.0.0");
  require("net").createServer((socket) => socket.on("error", () => {}).pipe(socket)).listen(7000, "0.0.0.0");`;
/** Keeps a connection to stats, as a pool does, and comes back when it is cut. */
const website = `
  process.on("SIGTERM", () => process.exit(0));
  const keep = () => {
    const socket = require("net").connect(7000, "stats");
    const timer = setInterval(() => socket.write("still there?"), 100);
    socket.on("error", () => {}).on("close", () => { clearInterval(timer); setTimeout(keep, 100); }).resume();
  };
  keep();`;
const idle = `process.on("SIGTERM", () => process.exit(0)); setInterval(() => {}, 1e6);`;

const service = (name: string, script: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node", "-e"]
    command: [${JSON.stringify(script)}]${more}`;

const datagrams = 20;
const datagramBytes = 500;
/** With UDP's and IP's headers, there and back. */
const wireBytes = datagrams * (datagramBytes + 28) * 2;
/** One after the other, each until its echo is there. */
const sendUdp = `
  const udp = require("dgram").createSocket("udp4");
  let left = ${datagrams};
  const next = () => udp.send(Buffer.alloc(${datagramBytes}), 5000, "stats");
  udp.on("message", () => (--left === 0 ? udp.close() : next()));
  next();`;

const composeText = `services:${[
  service("stats", stats, `\n    expose: ["8080", "9000", "7000", "5000/udp"]`),
  service("website", website),
  service("as-proxy", idle, `\n    user: "1337:1337"`),
  service("job", sendUdp, `\n    profiles: [jobs]`),
  service("quiet", idle),
].join("")}\n`;

const meshText = `
name: bypass${process.pid}
services:
  stats: { capture: { inbound: { excludePorts: [9000] } } }
  website: { capture: { outbound: { excludePorts: [9000] } } }
  quiet: { mesh: false }
`;

const state: { project: MeshProject | null } = { project: null };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  state.project = new MeshProject({ name: "bypass", compose: composeText, mesh: meshText });
  // The website's connection is to be older than the rules.
  await project().compose("up", "-d");
  await eventually(async () => {
    const open = await project().evaluate(
      "stats",
      `console.log(require("fs").readFileSync("/proc/net/tcp", "latin1"))`,
    );
    expect(open).toMatch(/:1B58 [0-9A-F]+:[0-9A-F]+ 01 /);
  }, 30_000);
  await project().up();
});
afterAll(() => state.project?.close());

interface Checked {
  readonly code: number;
  readonly view: StatusView;
  readonly problem: string;
  readonly edges: readonly BypassEdgeView[];
}

async function check(): Promise<Checked> {
  const { code, stdout, stderr } = await project().cli("--json", "status", "--fail-on-bypass");
  const view = JSON.parse(stdout) as StatusView;
  const edges = view.bypass?.edges.filter(({ verdict }) => verdict !== "resolver") ?? [];
  return { code, view, problem: stderr, edges };
}

/** Whether a call gets there by the proxies: then the callee sees another port than the caller has. */
async function isByProxy(from: string, port: number): Promise<boolean> {
  const said = await project().evaluate(
    from,
    `require("http").get("http://stats:${port}/", { agent: false }, (response) => {
       const { localPort } = response.socket;
       response.setEncoding("utf8").once("data", (text) => console.log(response.statusCode === 200 ? text !== String(localPort) : "no"));
     });`,
  );
  expect(said).toMatch(/^(true|false)$/);
  return said === "true";
}

test("a project whose calls go by the proxies has no bypass; an older connection was cut, which is none", async () => {
  expect(await isByProxy("website", 8080)).toBe(true);
  // Its next packet is at most 100 ms away.
  const older = { from: "website", to: "stats", cause: "older", verdict: "cut", protocol: "tcp", port: 7000 };
  await eventually(async () => expect((await check()).edges).toContainEqual(expect.objectContaining(older)), 30_000);
  const { code, view, problem, edges } = await check();
  expect(problem).toBe("");
  expect(code).toBe(0);
  expect(view.bypass).toMatchObject({ bytes: 0, connections: 0, isComplete: true, unread: [] });
  expect(edges).toHaveLength(1);
  expect(edges[0]?.connections).toBe(1);
});

test("an application that runs as the proxy's user goes by the proxy like any other", async () => {
  expect(await isByProxy("as-proxy", 8080)).toBe(true);
  const { code, view } = await check();
  expect(code).toBe(0);
  const workload = view.services.find(({ name }) => name === "as-proxy")?.workloads[0];
  expect(workload).toMatchObject({ sidecar: "ready", reason: "" });
});

test("what somebody opted out is listed as not covered, and is no failure by itself", async () => {
  const { code, view } = await check();
  expect(view.bypass?.uncovered).toEqual([
    expect.objectContaining({ service: "quiet", isChosen: true, reason: "mesh: false for quiet in mesh.yaml" }),
  ]);
  expect(code).toBe(0);
});

test("a sidecar that was killed is no success: what passed before the next one counted, nobody knows", async () => {
  await project().docker("kill", await project().sidecar("as-proxy"));
  // Either its counters cannot be read, or they were, in the rules that outlive it, and then the mesh is not well.
  expect((await check()).code).toBe(7);
  await eventually(async () => expect((await project().status()).health).toBe("ok"), 30_000);
  const { code, problem, view } = await check();
  expect(code).toBe(7);
  expect(JSON.parse(problem)).toMatchObject({ code: "DM0502" });
  expect(problem).toContain("as-proxy");
  expect(view.bypass?.unread).toEqual([
    {
      container: expect.stringContaining("as-proxy"),
      reason: "its sidecar was replaced before its counters were read",
    },
  ]);
});

test("UDP between two services is counted with both names, and fails the check", async () => {
  await project().evaluate("website", sendUdp);
  const { code, problem, view, edges } = await check();
  expect(code).toBe(7);
  expect(JSON.parse(problem)).toMatchObject({ code: "DM0501" });
  expect(problem).toContain("website -> stats udp/5000");
  const udp = edges.find(({ cause }) => cause === "udp");
  expect(udp).toMatchObject({
    from: "website",
    to: "stats",
    verdict: "passed",
    protocol: "udp",
    port: 5000,
    connections: 1,
  });
  expect(udp?.bytes).toBeGreaterThanOrEqual(wireBytes);
  expect(udp?.bytes).toBeLessThan(2 * wireBytes);
  expect(view.bypass?.bytes).toBe(udp?.bytes);

  const shown = await project().cli("status");
  expect(shown.stdout).toMatch(/past the mesh: website -> stats udp\/5000 21 kB \(1 flow\)/);
  const metrics = parseMetrics((await project().cli("metrics")).stdout);
  const labels = { source: "website", destination: "stats", cause: "udp", verdict: "passed" };
  expect(sumOf(metrics, "devmesh_bypass_bytes_total", labels)).toBe(udp?.bytes);
});

test("an excluded port, and UDP of a container without a sidecar, are seen from the other end", async () => {
  expect(await isByProxy("website", 9000)).toBe(false);
  await project().evaluate("quiet", sendUdp);
  const { edges } = await check();
  const excluded = { from: "website", to: "stats", cause: "excluded", verdict: "passed", protocol: "tcp", port: 9000 };
  expect(edges).toContainEqual(expect.objectContaining({ ...excluded, connections: 1 }));
  const udp = edges.find(({ from, cause }) => from === "quiet" && cause === "udp");
  expect(udp).toMatchObject({ to: "stats", protocol: "udp", port: 5000, connections: 1 });
  expect(udp?.bytes).toBeGreaterThanOrEqual(wireBytes);
});

test("a job that ends between two readings is counted to its last byte", async () => {
  await project().compose("run", "--rm", "job");
  const find = async () => (await check()).edges.find(({ from }) => from === "job");
  await eventually(
    async () => expect(await find()).toMatchObject({ to: "stats", cause: "udp", connections: 1 }),
    30_000,
  );
  expect((await find())?.bytes).toBeGreaterThanOrEqual(wireBytes);
});
