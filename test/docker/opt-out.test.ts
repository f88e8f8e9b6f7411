// What is left out of the capture on real Docker: ports, addresses and whole containers, by mesh.yaml and by labels.
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

/** Says at two ports from where it is called: the caller's own port means that nobody is between the two. */
const server = JSON.stringify([
  "-e",
  `process.on("SIGTERM", () => process.exit(0));
   const answer = ({ socket }, response) => response.end(String(socket.remotePort));
   for (const port of [8080, 9000]) require("http").createServer(answer).listen(port, "0.0.0.0");`,
]);

const service = (name: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ${server}
    expose: ["8080", "9000"]${more}`;
const labels = (lines: Record<string, string>): string =>
  `\n    labels: ${JSON.stringify(Object.fromEntries(Object.entries(lines).map(([name, text]) => [name, text])))}`;

const istio = "traffic.sidecar.istio.io";
const composeText = (port: number): string =>
  `services:${[
    service("api", `\n    ports: ["127.0.0.1:${port}:9000"]`),
    service("only", labels({ [`${istio}/includeInboundPorts`]: "8080" })),
    service("typo", labels({ [`${istio}/excludeInboundPorts`]: "9000;9001" })),
    service("caller"),
    service("narrow", labels({ [`${istio}/includeOutboundIPRanges`]: "", [`${istio}/includeOutboundPorts`]: "8080" })),
    service("stranger", labels({ "sidecar.istio.io/inject": "false" })),
    service("quiet"),
  ].join("")}\n`;

/** Only bounds a failure. */
const deadlineMs = 30_000;

interface Capture {
  readonly api?: string;
  readonly caller?: string;
}

const meshText = ({ api = "{}", caller = "{}" }: Capture): string => `
name: out${process.pid}
mtls: strict
services:
  api: { capture: ${api}, allow: [{ from: caller }] }
  caller: { capture: ${caller} }
  quiet: { mesh: false }
`;
const first: Capture = {
  api: "{ inbound: { excludePorts: [9000] } }",
  caller: "{ outbound: { excludePorts: [9000] } }",
};

const state: { project: MeshProject | null; port: number } = { project: null, port: 0 };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  state.port = await unusedPort();
  state.project = new MeshProject({ name: "out", compose: composeText(state.port), mesh: meshText(first) });
  await project().up();
});
afterAll(() => state.project?.close());

type Way = "direct" | "by proxy" | "refused";

/** How a call gets from one container to another: `to` is a name or an address with its port. */
async function way(from: string, to: string): Promise<Way> {
  const said = await project().evaluate(
    from,
    `const end = (word) => { console.log(word); process.exit(0); };
     setTimeout(() => end("refused"), 5000);
     const request = require("http").get("http://${to}/", { agent: false }, (response) => {
       const { localPort } = response.socket;
       response.setEncoding("utf8").once("data", (text) =>
         end(response.statusCode !== 200 ? "refused" : text === String(localPort) ? "direct" : "by proxy"));
     });
     request.on("error", () => end("refused"));`,
  );
  return said as Way;
}

async function addressOf(name: string, network: string): Promise<string> {
  const format = `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`;
  return await project().docker("inspect", "--format", format, await project().container(name));
}

test("containers opt out by mesh.yaml and by Istio's label, and the status says why", async () => {
  const { unmeshed, health } = await project().status();
  expect(health).toBe("ok");
  expect(unmeshed.map(({ service: name, reason }) => [name, reason])).toEqual([
    ["quiet", "mesh: false for quiet in mesh.yaml"],
    ["stranger", "label sidecar.istio.io/inject=false"],
  ]);
  expect(await project().sidecar("stranger")).toBe("");
  expect(await way("stranger", "quiet:8080")).toBe("direct");
});

test("an excluded inbound port is reached directly from outside the mesh, and by mTLS from within", async () => {
  expect(await way("stranger", "api:9000")).toBe("direct");
  expect(await way("stranger", "api:8080")).toBe("refused");
  expect((await fetch(`http://127.0.0.1:${state.port}/`)).status).toBe(200);
  expect(await way("caller", "api:9000")).toBe("by proxy");
  expect(await way("only", "api:9000")).toBe("refused"); // Not among those that `allow` names.
  const { services, config } = await project().status();
  expect(services.find(({ name }) => name === "api")?.openPorts).toEqual([9000]);
  expect(config.diagnostics.map(({ code, file }) => [code, file])).toContainEqual(["DM1405", "mesh.yaml"]);
});

test("where only some inbound ports are included the others are reached directly", async () => {
  expect(await way("stranger", "only:8080")).toBe("refused");
  expect(await way("stranger", "only:9000")).toBe("direct");
});

test("an excluded outbound port is called directly, all others are captured", async () => {
  expect(await way("caller", "stranger:9000")).toBe("direct");
  expect(await way("caller", "stranger:8080")).toBe("by proxy");
  expect(await way("narrow", "stranger:9000")).toBe("direct");
  expect(await way("narrow", "stranger:8080")).toBe("by proxy");
});

test("a label that cannot be read changes nothing, and is shown with its container", async () => {
  expect(await way("stranger", "typo:9000")).toBe("refused");
  const { config } = await project().status();
  const found = config.diagnostics.find(({ code }) => code === "DM1406");
  expect(found?.file).toMatch(new RegExp(`^${project().name}[_-]typo[_-]1$`));
  expect(found?.message).toContain("9000;9001");
  expect((await project().cli("status")).stdout).toContain("excludeInboundPorts changes nothing");
});

test("an edit takes effect, and no exclusion opens the mesh's own network", async () => {
  const sidecars = async () => await Promise.all(["api", "caller", "only"].map((name) => project().sidecar(name)));
  const before = await sidecars();
  project().write("mesh.yaml", meshText({ caller: '{ outbound: { excludeCidrs: [0.0.0.0/0, "::/0"] } }' }));
  await eventually(async () => {
    expect(await way("stranger", "api:9000")).toBe("refused");
    expect(await way("caller", "stranger:8080")).toBe("direct");
    expect(await way("caller", "api:8080")).toBe("by proxy");
  }, deadlineMs);
  const meshNetwork = `zz_devmesh_out${process.pid}`;
  const neighbour = await addressOf("api", meshNetwork);
  expect(await way("caller", `${neighbour}:9000`)).not.toBe("direct");
  const after = await sidecars();
  expect(after[2]).toBe(before[2]);
  expect(after[0]).not.toBe(before[0]);
  expect(after[1]).not.toBe(before[1]);
});

test("an exclusion that means nothing is refused with its place, and what is in force goes on", async () => {
  project().write(
    "mesh.yaml",
    meshText({ caller: "{ outbound: { excludeCidrs: [10.0.0.0/33], excludePorts: [0] } }" }),
  );
  const { code, stderr, stdout } = await project().cli("validate");
  expect(code).toBe(3);
  expect(stdout + stderr).toMatch(/mesh\.yaml:6:51 error: .*10\.0\.0\.0\/33.*0 to 32 bits/);
  expect(stdout + stderr).toMatch(/mesh\.yaml:6:\d+ error: .*excludePorts\[0\] must be a port/);
  await eventually(async () => expect((await project().status()).config.isInSync).toBe(false), deadlineMs);
  expect(await way("caller", "stranger:8080")).toBe("direct");
});
