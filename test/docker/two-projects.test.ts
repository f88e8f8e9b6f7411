// Two projects with the same services that want the same ports of the host: the second is told, and then they never meet.
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
const names = ["first", "second"] as const;
type Name = (typeof names)[number];

const composeText = (name: Name, port: number) => `
services:${["web", "api"]
  .map(
    (service) => `
  ${service}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node", "/apps/echo.ts"]
    command: []
    environment: { NAME: ${service} of the ${name} }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
    stop_grace_period: 1s${service === "web" ? `\n    ports: ["127.0.0.1:${port}:8080"]` : ""}`,
  )
  .join("")}
`;
const meshText = (name: Name, port: number) => `
name: ${name}${process.pid}
services: { web: { port: 8080 }, api: { port: 8080 } }
gateway: [{ listen: ${port}, to: web }]
`;

const projects = new Map<Name, MeshProject>();
const project = (name: Name): MeshProject =>
  projects.get(name) ?? expect.unreachable(`the ${name} project is not there`);
const ports = { gateway: 0, published: 0 };

beforeAll(async () => {
  Object.assign(ports, { gateway: await unusedPort(), published: await unusedPort() });
  for (const name of names) {
    const texts = { compose: composeText(name, ports.published), mesh: meshText(name, ports.gateway) };
    projects.set(name, new MeshProject({ name, ...texts }));
  }
  await project("first").up();
});

afterAll(async () => {
  await Promise.all([...projects.values()].map((one) => one.close()));
});

const nameAt = async (port: number): Promise<string> =>
  (await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: "close" } })).headers.get("x-name") ?? "";

test("the second is told which port is taken, of the gateway and of compose, and leaves the first alone", async () => {
  const second = project("second");
  const gateway = await second.cli("up", "-d");
  expect(gateway).toMatchObject({ code: 1, stderr: expect.stringMatching(/DM0401/) });
  expect(gateway.stderr).toContain(`127.0.0.1:${ports.gateway} is in use`);

  const other = await unusedPort();
  second.write("mesh.yaml", meshText("second", other));
  const published = await second.cli("up", "-d");
  expect(published.code).toBe(1);
  expect(published.stderr).toMatch(new RegExp(`127.0.0.1:${ports.published}\\b`));
  expect(await nameAt(ports.gateway)).toBe("web of the first");
  expect(await nameAt(ports.published)).toBe("web of the first");

  const free = await unusedPort();
  second.write("compose.yaml", composeText("second", free));
  await second.up();
  expect([await nameAt(other), await nameAt(free)]).toEqual(["web of the second", "web of the second"]);
  expect([await nameAt(ports.gateway), await nameAt(ports.published)]).toEqual([
    "web of the first",
    "web of the first",
  ]);
});

test("by the same name each reaches its own, and the other's by no address", async () => {
  const script = `
    const ask = (host) => fetch("http://" + host + ":8080/", { headers: { connection: "close" }, signal: AbortSignal.timeout(3000) })
      .then((r) => r.headers.get("x-name"), () => "nobody");
    (async () => {
      const names = new Set();
      for (let i = 0; i < 30; i++) names.add(await ask("api"));
      console.log(JSON.stringify({ names: [...names], stranger: await ask(process.argv[1]) }));
    })()`;
  for (const [name, other] of [names, [...names].reverse()] as [Name, Name][]) {
    const format = "{{range $name, $it := .NetworkSettings.Networks}}{{$name}} {{$it.IPAddress}}\n{{end}}";
    const listed = await project(other).docker("inspect", "--format", format, await project(other).container("api"));
    const address = /_default (\S+)/.exec(listed)?.[1] ?? "";
    const web = await project(name).container("web");
    const said = await project(name).docker("exec", web, "node", "-e", script, address);
    expect(JSON.parse(said)).toEqual({ names: [`api of the ${name}`], stranger: "nobody" });
  }
});
