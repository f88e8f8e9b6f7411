// A network with IPv6, on real Docker: captured, judged and carried by mutual TLS as IPv4 is.
import { randomBytes } from "node:crypto";
import net from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { MeshProject } from "../support/mesh-project.ts";
import { parseMetrics, sumOf } from "../support/prometheus.ts";

/** A local subnet that nobody else has (RFC 4193). */
const prefix = `fd${randomBytes(5).toString("hex")}`.replace(/(....)(....)(....)/, "$1:$2:$3");
/** Says who it is over HTTP at 8080, and echoes at 7000, on the addresses that `listen` says. */
const app = (listen: object): string =>
  JSON.stringify([
    "-e",
    `process.on("SIGTERM", () => process.exit());
     require("http").createServer((_, response) => response.end(process.env.NAME)).listen({ port: 8080, ...${JSON.stringify(listen)} });
     require("net").createServer((socket) => socket.on("error", () => socket.destroy()).pipe(socket)).listen({ port: 7000, ...${JSON.stringify(listen)} });`,
  ]);
const service = (name: string, more: string, listen: object = {}): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ${app(listen).replaceAll("$", "$$$$")}
    environment: { NAME: ${name} }
    expose: ["8080", "7000"]
    ${more}`;

const compose = `
services:${service("client", "networks: [six]")}
${service("api", 'networks: [six]\n    ports: ["8080"]')}
${service("only6", "networks: [six]", { host: "::", ipv6Only: true })}
${service("late", "networks: [four]")}
networks:
  four: {}
  six:
    enable_ipv6: true
    ipam: { config: [{ subnet: "${prefix}::/64" }] }
`;
const mesh = `
name: six${process.pid}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  only6: { port: 8080, ports: [7000/tcp] }
  late: { port: 8080 }
`;

const state: { project: MeshProject | null } = { project: null };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  state.project = new MeshProject({ name: "six", compose, mesh });
  await project().up();
});

afterAll(async () => await state.project?.close());

async function ipv6Of(name: string): Promise<string> {
  const id = await project().container(name);
  const address = await project().docker(
    "inspect",
    "-f",
    "{{range .NetworkSettings.Networks}}{{.GlobalIPv6Address}}{{end}}",
    id,
  );
  expect(net.isIPv6(address)).toBe(true);
  return address;
}

/** What an HTTP request from a service's container came to: the answer, or the error's code. */
const get = (from: string, url: string): Promise<string> =>
  project().evaluate(
    from,
    `fetch(${JSON.stringify(url)}, { signal: AbortSignal.timeout(5000) })
       .then((answer) => answer.text())
       .then(console.log, (error) => console.log("failed", error.cause?.code ?? error.name));`,
  );

const echoed = (from: string, host: string): Promise<string> =>
  project().evaluate(
    from,
    `const socket = require("net").connect(7000, ${JSON.stringify(host)}, () => socket.write("over TCP"));
     socket.on("data", (chunk) => { console.log(String(chunk)); socket.destroy(); });
     socket.on("error", (error) => console.log(error.code));`,
  );

async function mutual(source: string, destination: string, metric = "istio_requests_total"): Promise<number> {
  const { stdout } = await project().cli("metrics");
  return sumOf(parseMetrics(stdout), metric, {
    reporter: "destination",
    source_principal: `spiffe://cluster.local/ns/six${process.pid}/sa/${source}`,
    destination_service_name: destination,
    connection_security_policy: "mutual_tls",
  });
}

test("a call to a container's IPv6 address is a call to that container, with mutual TLS", async () => {
  const address = await ipv6Of("api");
  expect(await get("client", `http://[${address}]:8080/`)).toBe("api");
  expect(await echoed("client", address)).toBe("over TCP");
  await eventually(async () => {
    expect(await mutual("client", "api")).toBeGreaterThan(0);
    expect(await mutual("client", "api", "istio_tcp_connections_opened_total")).toBeGreaterThan(0);
  }, 30_000);
});

test("an application that listens on IPv6 alone is found by its name, which has no IPv6 address", async () => {
  expect(await get("client", "http://only6:8080/")).toBe("only6");
  expect(await echoed("client", "only6")).toBe("over TCP");
  const asked = await project().evaluate(
    "client",
    `const { resolve4, resolve6 } = require("dns").promises;
     Promise.all([resolve4("only6"), resolve6("only6").catch((error) => error.code)])
       .then(([four, six]) => console.log(four.length, six));`,
  );
  expect(asked).toBe("1 ENODATA");
});

test("over IPv6 a neighbour without a certificate is refused, and the host may use what is published", async () => {
  const address = await ipv6Of("api");
  const stranger = await project().docker(
    ...["run", "--rm", "--network", `${project().name}_six`, "--entrypoint", "node"],
    ...[project().env.DEVMESH_SHOP_IMAGE ?? "", "-e"],
    `fetch("http://[${address}]:8080/").then(() => console.log("answered"), (error) => console.log(error.cause.code));`,
  );
  expect(["ECONNRESET", "UND_ERR_SOCKET"]).toContain(stranger);
  const published = await project().docker("port", await project().container("api"), "8080/tcp");
  const ports = published.split("\n").map((line) => line.slice(line.lastIndexOf(":") + 1));
  const urls = [`http://[${address}]:8080/`, `http://127.0.0.1:${ports[0]}/`];
  if (published.includes("::")) urls.push(`http://[::1]:${ports.at(-1)}/`);
  for (const url of urls) expect([url, await (await fetch(url)).text()]).toEqual([url, "api"]);
  await expect(fetch(`http://[${await ipv6Of("client")}]:8080/`)).rejects.toThrow("fetch failed");
});

test("a container that gets IPv6 later is captured from its first call on", async () => {
  const address = await ipv6Of("api");
  await project().docker("network", "connect", `${project().name}_six`, await project().container("late"));
  await eventually(async () => expect(await get("late", `http://[${address}]:8080/`)).toBe("api"), 30_000);
  await eventually(async () => expect(await mutual("late", "api")).toBeGreaterThan(0), 30_000);
  await eventually(
    async () => expect(await get("client", `http://[${await ipv6Of("late")}]:8080/`)).toBe("late"),
    30_000,
  );
});
