// `down`: nothing of devmesh is left, and what keeps running is as it was before the mesh.
import { existsSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { daemonsOf } from "../support/daemons.ts";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import { askTcp, type NetworkView, reach, viewNetwork, withoutMesh } from "../support/network-view.ts";
import { builtImages } from "../support/shop-project.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
const app = (name: string, more: string, env = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/echo.ts"]
    environment: { NAME: ${name}${env} }
    init: true
    stop_grace_period: 1s
    volumes: ["${apps}:/apps:ro", "data:/data"]
    ${more}`;
const tcpEcho = `require("net").createServer({ allowHalfOpen: true }, (s) => s.pipe(s)).listen(7000)`;

/** Every way in which a container can be on the network. */
const compose = (published: number): string => `services:${app(
  "web",
  `ports: ["127.0.0.1:${published}:8080"]\n    networks: [front, back]`,
)}${app("api", "networks: [front]\n    hostname: api-1\n    extra_hosts: ['legacy:192.0.2.7']")}
  tcp:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["-e", '${tcpEcho}']
    init: true
    stop_grace_period: 1s
    networks: [back]${app("rider", `network_mode: "service:web"`, `, PORT: "8090"`)}${app(
      "hosted",
      "network_mode: host",
      `, PORT: "0"`,
    )}${app("plain", "network_mode: bridge")}${app("napper", "networks: [front, back]")}
networks: { front: {}, back: { internal: true } }
volumes: { data: {} }
`;
/** Those with a network of their own, and names that each can resolve without a mesh. */
const names: Readonly<Record<string, readonly string[]>> = {
  web: ["web", "api", "tcp"],
  api: ["web", "api", "legacy"],
  tcp: ["web", "tcp"],
  plain: [],
};
const running = Object.keys(names);

let project: MeshProject;
let published: number;
let before: Record<string, unknown>;

beforeAll(async () => {
  published = await unusedPort();
  project = new MeshProject({ name: "down", compose: compose(published), mesh: null });
  await project.compose("up", "-d");
  // Docker's own proxy accepts on a published port before the application listens.
  await eventually(
    async () => expect(JSON.stringify(await reachAll())).not.toMatch(/ECONN|UND_ERR|timeout/i),
    30_000,
    200,
  );
  before = await facts();
});

afterAll(async () => {
  await project?.close();
});

/** All that must be the same before and after; Docker's own view too. */
async function facts(): Promise<Record<string, unknown>> {
  const ids = await Promise.all(running.map((service) => project.container(service)));
  const [views, inspected, reached] = await Promise.all([look(), project.docker("inspect", ...ids), reachAll()]);
  const docker = (JSON.parse(inspected) as Inspected[]).map(({ State, NetworkSettings }) => ({
    running: State.Running,
    paused: State.Paused,
    startedAt: State.StartedAt,
    ports: NetworkSettings.Ports,
    networks: Object.entries(NetworkSettings.Networks).map(([name, one]) => `${name} ${one.IPAddress}`),
  }));
  return { views, docker, reached };
}

async function look(): Promise<Readonly<Record<string, NetworkView>>> {
  const views = running.map(async (service) => [service, await viewNetwork(project, service, names[service] ?? [])]);
  return Object.fromEntries(await Promise.all(views));
}

interface Inspected {
  readonly State: { readonly Running: boolean; readonly Paused: boolean; readonly StartedAt: string };
  readonly NetworkSettings: {
    readonly Ports: unknown;
    readonly Networks: Readonly<Record<string, { readonly IPAddress: string }>>;
  };
}

async function reachAll(): Promise<unknown> {
  const headers = { connection: "close" };
  const fromHost = fetch(`http://127.0.0.1:${published}/`, { headers }).then(
    (response) => `${response.headers.get("x-name")} ${response.status}`,
    (error) => String(error.cause?.code),
  );
  const [web, api, rider, toTcp, fromTcp, host] = await Promise.all([
    reach(project, "web", ["http://api:8080/", "http://napper:8080/", "http://127.0.0.1:8090/"]),
    reach(project, "api", ["http://web:8080/"]),
    reach(project, "rider", ["http://127.0.0.1:8080/", "http://api:8080/"]),
    askTcp(project, "web", "tcp", 7000),
    reach(project, "tcp", ["http://web:8080/"]),
    fromHost,
  ]);
  return { web, api, rider, toTcp, fromTcp, host };
}

const viewsOf = (all: Record<string, unknown>): Readonly<Record<string, NetworkView>> =>
  all.views as Record<string, NetworkView>;

/** nft's tables in a container's namespace. */
async function tables(service: string): Promise<string> {
  const id = await project.container(service);
  const args = ["--network", `container:${id}`, "--cap-add", "NET_ADMIN", "--user", "0:0", "--entrypoint", "nft"];
  return await project.docker("run", "--rm", ...args, builtImages().proxy, "list", "tables");
}

async function expectNothingLeft(): Promise<void> {
  const label = `label=dev.devmesh.project=${project.name}`;
  const paused = ["--filter", "status=paused", "--filter", `label=com.docker.compose.project=${project.name}`];
  const left = await Promise.all([
    project.docker("ps", "-aq", "--filter", label),
    project.docker("network", "ls", "-q", "--filter", label),
    project.docker("volume", "ls", "-q", "--filter", label),
    project.docker("ps", "-q", ...paused),
  ]);
  expect(left).toEqual(["", "", "", ""]);
  expect(readdirSync(project.stateHome, { recursive: true })).toEqual(["devmesh"]);
  expect(daemons()).toEqual([]);
}

const daemons = (): number[] => daemonsOf(project.name);

async function expectAsBefore(): Promise<void> {
  const after = await facts();
  // The default bridge's container keeps the resolver that Docker gave it with a second network, until it starts again.
  const plain = viewsOf(after).plain;
  expect(plain?.resolver).toContain("nameserver 127.0.0.11");
  const views = { ...viewsOf(after), plain: { ...plain, resolver: viewsOf(before).plain?.resolver } };
  expect({ ...after, views }).toEqual(before);
}

describe("a project that runs already", () => {
  test("keeps its routes, addresses, names of its host and published ports while the mesh is up", async () => {
    const { ms } = await project.up();
    console.log(`up of 5 running containers: ${ms.toFixed(0)} ms`);
    const network = `zz_devmesh_${project.name}`;
    const subnet = await project.docker("network", "inspect", "-f", "{{(index .IPAM.Config 0).Subnet}}", network);
    // The line in /etc/hosts goes in the background.
    await eventually(async () => {
      const during = await look();
      for (const service of running) {
        const was = viewsOf(before)[service];
        const is = during[service];
        if (was === undefined || is === undefined) throw new Error(`no view of ${service}`);
        const resolver = service === "plain" ? "nameserver 127.0.0.11\noptions ndots:0\n" : was.resolver;
        expect(withoutMesh(is, subnet), service).toEqual({ ...withoutMesh(was, subnet), resolver });
      }
    }, 30_000);
    expect((await project.status()).unmeshed.map(({ container }) => container.split("_")[1]).sort()).toEqual([
      "hosted",
      "rider",
    ]);
    expect(await reachAll()).toMatchObject({
      web: { "http://api:8080/": "api 200", "http://127.0.0.1:8090/": "rider 200" },
      rider: { "http://127.0.0.1:8080/": "web 200", "http://api:8080/": "api 200" },
      toTcp: "ping",
      host: "web 200",
    });
    for (const service of running) expect(await tables(service)).toContain("table inet devmesh");
  });

  test("is as it was after down --no-compose, stopped containers start again, and nothing of devmesh is left", async () => {
    await project.compose("stop", "napper");
    const { ms, stderr } = await project.down("--no-compose");
    console.log(`down --no-compose of 5 containers: ${ms.toFixed(0)} ms`);
    expect(stderr).toContain("mesh removed");
    await expectNothingLeft();
    await project.docker("start", await project.container("napper"));
    await eventually(async () => expect(await reachAll()).toEqual(before.reached));
    await expectAsBefore();
    for (const service of running) expect(await tables(service)).not.toContain("devmesh");
  });

  test("down again, and down without a mesh, say so and change nothing", async () => {
    const { stderr, ms } = await project.down("--no-compose");
    expect(stderr).toContain(`there is no mesh of ${project.name} any more`);
    console.log(`down without a mesh: ${ms.toFixed(0)} ms`);
    await expectNothingLeft();
    expect(await project.cli("status")).toMatchObject({ code: 5 });
  });
});

describe("after kill -9 of everything", () => {
  /** Ends the daemon at the moment when it has paused a container, then every sidecar. */
  async function killEverything(): Promise<void> {
    const { pid } = await project.status();
    const api = await project.container("api");
    await using events = new DockerEvents(`container=${api}`, "event=pause");
    await eventually(async () => expect(await isListening(events, api)).toBe(true));
    const since = Date.now();
    const restarting = project.docker("restart", "-t", "0", api);
    await events.at(api, "pause", since);
    process.kill(pid, "SIGKILL");
    await restarting;
    const sidecars = await project.docker("ps", "-q", "--filter", `label=dev.devmesh.project=${project.name}`);
    // A one-shot among them may have ended by itself.
    await Promise.allSettled(sidecars.split("\n").map((id) => project.docker("kill", id)));
  }

  /** The events' stream is open once it has shown a pause of ours. */
  async function isListening({ seen }: DockerEvents, id: string): Promise<boolean> {
    await project.docker("pause", id);
    await project.docker("unpause", id);
    return seen.length > 0;
  }

  test("up unpauses, cleans up what was left, and the mesh works again", async () => {
    await project.up();
    await killEverything();
    expect(await project.docker("inspect", "-f", "{{.State.Paused}}", await project.container("api"))).toBe("true");
    await project.up();
    expect((await project.status()).health).toBe("ok");
    expect(await reachAll()).toMatchObject({ web: { "http://api:8080/": "api 200" }, toTcp: "ping", host: "web 200" });
  });

  test("down alone leaves nothing, nothing paused, and containers that reach each other", async () => {
    await killEverything();
    const { ms } = await project.down("--no-compose");
    console.log(`down after kill -9 of everything: ${ms.toFixed(0)} ms`);
    await expectNothingLeft();
    await eventually(async () => expect(await reachAll()).toEqual(before.reached));
  });

  test("down leaves nothing when the state folder was removed as well", async () => {
    await project.up();
    const { pid } = await project.status();
    process.kill(pid, "SIGKILL");
    rmSync(path.join(project.stateHome, "devmesh"), { recursive: true });
    await project.down("--no-compose");
    await expectNothingLeft();
    await eventually(async () => expect(await reachAll()).toEqual(before.reached));
  });
});

describe("down of a mesh in a bad state", () => {
  test("takes over from a daemon that is stopped and holds its connections", async () => {
    await project.up();
    const { pid } = await project.status();
    process.kill(pid, "SIGSTOP");
    const { ms } = await project.down("--no-compose");
    console.log(`down with a stopped daemon: ${ms.toFixed(0)} ms`);
    await expectNothingLeft();
    await eventually(async () => expect(await reachAll()).toEqual(before.reached));
  });

  test("works when a daemon runs whose state folder and socket are gone, and so does up", async () => {
    await project.up();
    for (const command of ["up", "down"]) {
      rmSync(path.join(project.stateHome, "devmesh"), { recursive: true });
      if (command === "down") break;
      await project.up();
      expect(await reachAll()).toMatchObject({ web: { "http://api:8080/": "api 200" }, toTcp: "ping" });
      await eventually(() => expect(daemons()).toHaveLength(1));
    }
    await project.down("--no-compose");
    await expectNothingLeft();
  });

  test("works when mesh.yaml is broken and the compose file is gone", async () => {
    await project.up();
    onTestFinished(() => {
      project.write("compose.yaml", compose(published));
      project.write("mesh.yaml", "services: { web: { port: 8080 } }\n");
    });
    project.write("mesh.yaml", "services: [");
    project.write("compose.yaml", "services: {");
    const { code, stderr } = await project.cli("down", "--no-compose");
    expect([code, stderr]).toEqual([0, expect.stringContaining("mesh removed")]);
    await expectNothingLeft();
  });

  test("works after the project's containers were removed by hand", async () => {
    await project.up();
    const ids = await project.docker("ps", "-aq", "--filter", `label=com.docker.compose.project=${project.name}`);
    await project.docker("rm", "-f", ...ids.split("\n"));
    await project.down("--volumes");
    await expectNothingLeft();
    expect(await project.docker("network", "ls", "-q", "--filter", `name=${project.name}`)).toBe("");
    expect(await project.docker("volume", "ls", "-q", "--filter", `name=${project.name}`)).toBe("");
    expect(existsSync(path.join(project.folder, "mesh.yaml"))).toBe(true);
  });

  test("ends the whole project, containers with sidecars first", async () => {
    await project.up();
    const { ms } = await project.down("--volumes");
    console.log(`down of 7 containers: ${ms.toFixed(0)} ms`);
    await expectNothingLeft();
    expect(await project.docker("ps", "-aq", "--filter", `name=${project.name}`)).toBe("");
  });
});
