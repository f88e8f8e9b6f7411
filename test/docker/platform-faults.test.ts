// Faults of the platform under a steady load that never stops: networks taken away, memory that runs out, sidecars that are
// stopped, frozen and removed, the proxy's image gone, an address that another service gets.
import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StatusView } from "../../daemon/api/view.ts";
import { DockerEvents } from "../support/docker-events.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, isSuccess, Load, type Sent } from "../support/load.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import { echoService, fillDisk, freeDisk, isRoot, SmallDisk } from "../support/refused.ts";

/** From the moment at which the platform itself is well again to the first answer. */
const backWithinMs = 1000;
/**
 * What npm test allows the bar to be missed by: a dial into a network that had gone is given up after 1.5 s, and with other work
 * on two cores a container's start alone took 3 s (seen).
 */
const slack = 10;
/** After its first answer a service may still fail what goes to the container that was hit: silence is noticed after 1.5 s. */
const settledWithinMs = 3000;
const requestsASecond = { api: 25, solo: 25, gateway: 25, tunnel: 10 } as const;
/** `tunnel` asks api for an Upgrade, each of which is a TLS handshake of its own between two proxies. */
const names = ["api", "solo", "gateway", "tunnel"] as const;
type Name = (typeof names)[number];

interface Fault {
  readonly targets: readonly Name[];
  readonly fromMs: number;
  readonly untilMs: number;
}

const state = {
  project: null as MeshProject | null,
  events: null as DockerEvents | null,
  disk: null as SmallDisk | null,
  loads: new Map<Name, Load>(),
};
/** What was done so far: the whole history is held to it. */
const faults: Fault[] = [];
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");
const events = (): DockerEvents => state.events ?? expect.unreachable("the project is not up");
const docker = (...args: string[]): Promise<string> => project().docker(...args);
const load = (name: Name): Load => state.loads.get(name) ?? expect.unreachable(`no load on ${name}`);
const mesh = `platform${process.pid}`;
const network = `t${process.pid}platform_net`;
const meshNetwork = `zz_devmesh_${mesh}`;
const image = `t${process.pid}platform/proxy:1`;

/** With a subnet that Docker lets us choose addresses of. */
async function createNetwork(): Promise<void> {
  await eventually(async () => {
    const subnet = `10.${randomInt(128, 250)}.${randomInt(0, 256)}.0/24`;
    await docker("network", "create", "--subnet", subnet, network);
  });
}

beforeAll(async () => {
  const port = await unusedPort();
  const services = [
    echoService("client"),
    echoService("api"),
    echoService("solo", "restart: always\n    mem_limit: 128m\n    memswap_limit: 128m"),
  ];
  state.project = new MeshProject({
    name: "platform",
    compose: `services:${services.join("")}\nnetworks:\n  default: { external: true, name: ${network} }\n`,
    mesh: `
name: ${mesh}
mtls: strict
certificateLifetime: 10s
services:
  client: { port: 8080 }
  api: { port: 8080 }
  solo: { port: 8080 }
gateway:
  - { listen: ${port}, to: api }
`,
  });
  state.disk = await SmallDisk.mount("size=1m,mode=700");
  if (state.disk !== null) project().env.XDG_STATE_HOME = state.disk.folder;
  // A name of its own for the image, which can be taken away from it.
  await docker("tag", project().env.DEVMESH_PROXY_IMAGE ?? "", image);
  project().env.DEVMESH_PROXY_IMAGE = image;
  await createNetwork();
  await project().up("--", "--scale", "api=2");
  state.events = new DockerEvents(`label=com.docker.compose.project=${project().name}`);
  const client = await project().container("client");
  const upgrade = { connection: "Upgrade", upgrade: "echo" };
  for (const name of names) {
    const options = { rate: requestsASecond[name], timeoutMs: 10_000, ...(name === "tunnel" && { headers: upgrade }) };
    const host = name === "tunnel" ? "api" : name;
    const opening =
      name === "gateway"
        ? Load.onHost({ ...options, url: `http://127.0.0.1:${port}/?ms=10` })
        : Load.inContainer(client, { ...options, url: `http://${host}:8080/?ms=10` });
    state.loads.set(name, await opening);
  }
});

afterAll(async () => {
  await Promise.all([...state.loads.values()].map((one) => one.stop()));
  await state.events?.[Symbol.asyncDispose]();
  await state.project?.close();
  await state.disk?.close();
  await state.project?.docker("network", "rm", network).catch(() => undefined);
  await state.project?.docker("rmi", "-f", image).catch(() => undefined);
});

/** What failed although nothing was done to it then, and what was answered by somebody else. */
function unexplained(name: Name, sent: readonly Sent[]): readonly Sent[] {
  const isExplained = ({ start, end }: Sent): boolean =>
    faults.some(({ targets, fromMs, untilMs }) => targets.includes(name) && end >= fromMs && start <= untilMs);
  const wrong = sent.filter((one) => isSuccess(one) && one.name !== (name === "solo" ? "solo" : "api"));
  return [...wrong, ...failures(sent).filter((one) => !isExplained(one))];
}

/**
 * Does it to the targets; `act` answers when the platform was well again, in Docker's time. Then each target answers within the
 * bar, and the load on all the others has not noticed.
 */
async function fault(what: string, targets: readonly Name[], act: () => Promise<number>): Promise<void> {
  const fromMs = Date.now();
  const begun = { targets, fromMs, untilMs: Number.POSITIVE_INFINITY };
  faults.push(begun);
  const wellMs = await act();
  await Promise.all(names.map((name) => load(name).successes(requestsASecond[name])));
  const backMs = Math.max(...targets.map((name) => backAfter(load(name).sent, wellMs)));
  faults[faults.indexOf(begun)] = { ...begun, untilMs: wellMs + backMs + settledWithinMs };
  for (const name of names) {
    const sent = load(name).sent.filter(({ end }) => end >= fromMs);
    if (targets.includes(name) || failures(sent).length > 0) {
      const back = backAfter(sent, wellMs);
      console.log(`${what}, ${name}: answers ${Math.round(back)} ms after it: ${describeLoad(sent)}`);
      expect(back, `${what}, ${name}`).toBeLessThan(backWithinMs * slack);
    }
    expect(unexplained(name, sent), `${what}, ${name}`).toEqual([]);
  }
}

/** From then on to the first answer to something that was sent later. */
function backAfter(sent: readonly Sent[], atMs: number): number {
  return Math.min(...sent.filter((one) => isSuccess(one) && one.start >= atMs).map(({ end }) => end)) - atMs;
}

async function addressOf(id: string, of: string): Promise<string> {
  return await docker("inspect", "-f", `{{(index .NetworkSettings.Networks "${of}").IPAddress}}`, id);
}

/** Until the load on a service has met a failure that began after `sinceMs`. */
async function noticed(name: Name, sinceMs: number): Promise<void> {
  await eventually(() => expect(failures(load(name).sent).some(({ end }) => end >= sinceMs)).toBe(true), 15_000);
}

test("a container that leaves the project's network and comes back is reached as long as it is there", async () => {
  const [solo, api] = await Promise.all([project().container("solo"), project().container("api")]);
  await fault("project's network, solo", ["solo"], async () => {
    const sinceMs = Date.now();
    await docker("network", "disconnect", network, solo);
    await noticed("solo", sinceMs);
    await docker("network", "connect", network, solo);
    return Date.now();
  });
  await fault("project's network, one of api", ["api", "tunnel"], async () => {
    await docker("network", "disconnect", network, api);
    await load("api").successes(requestsASecond.api);
    await docker("network", "connect", network, api);
    return Date.now();
  });
});

test("a replica and a caller that are cut off the mesh's network are connected again", async () => {
  const [client, api] = await Promise.all([project().container("client"), project().container("api", 2)]);
  await fault("mesh's network, one of api", ["api", "gateway", "tunnel"], async () => {
    await docker("network", "disconnect", meshNetwork, api);
    return Date.now();
  });
  await fault("mesh's network, the caller", ["api", "solo", "tunnel"], async () => {
    await docker("network", "disconnect", meshNetwork, client);
    return Date.now();
  });
});

test("a container that runs out of memory fails what it had, and serves once Docker has started it again", async () => {
  const solo = await project().container("solo");
  await fault("out of memory, solo", ["solo"], async () => {
    const sinceMs = Date.now();
    void project().evaluate("client", `fetch("http://solo:8080/?eat=1").catch(() => 0)`);
    const dieMs = await events().at(solo, "die", sinceMs);
    expect(events().seen.some(({ id, action }) => id === solo && action === "oom")).toBe(true);
    return await events().at(solo, "start", dieMs);
  });
});

test("a sidecar that is stopped, frozen or removed is there again, and so is a gateway", async () => {
  const gone = { stopped: ["stop", "-t", "2"], frozen: ["pause"], removed: ["rm", "-f"] };
  for (const [what, command] of Object.entries(gone)) {
    const sidecar = await project().sidecar("solo");
    await fault(`sidecar ${what}, solo`, ["solo"], async () => {
      await docker(...command, sidecar);
      return Date.now();
    });
  }
  await fault("gateway removed", ["gateway"], async () => {
    const filters = [`label=dev.devmesh.mesh=${mesh}`, "label=dev.devmesh.kind=gateway"];
    await docker("rm", "-f", await docker("ps", "-q", ...filters.flatMap((filter) => ["--filter", filter])));
    return Date.now();
  });
});

test("without the proxy's image what runs goes on, the status says what to do, and it is mended when the image is back", async () => {
  const [content, sidecar, container] = await Promise.all([
    docker("inspect", "-f", "{{.Id}}", image),
    project().sidecar("api"),
    project().container("api"),
  ]);
  const workload = async () =>
    (await project().status()).services
      .find(({ name }) => name === "api")
      ?.workloads.find(({ id }) => id === container);
  await fault("image gone, one of api", ["api", "gateway", "tunnel"], async () => {
    await docker("rmi", "-f", image);
    await docker("rm", "-f", sidecar);
    const failed = await eventually(async () => {
      const found = await workload();
      expect(found?.sidecar).toBe("failed");
      return found;
    });
    expect(failed?.reason).toContain(`the proxy's image ${image} is not on the Docker engine`);
    expect(failed?.reason).toMatch(/\(DM0403\); devmesh image build makes it/);
    const cutMs = Date.now();
    await load("api").successes(requestsASecond.api);
    expect(failures(load("api").sent).filter(({ start }) => start >= cutMs)).toEqual([]);
    await docker("tag", content, image);
    const backMs = Date.now();
    await eventually(async () => expect((await workload())?.sidecar).toBe("ready"));
    console.log(`image back: its sidecar is ready ${Date.now() - backMs} ms later`);
    expect(Date.now() - backMs).toBeLessThan(backWithinMs * slack);
    return backMs;
  });
});

test.runIf(isRoot)(
  "a full disk costs nothing, is told, and everything is written once there is room",
  async ({ skip }) => {
    if (state.disk === null) return skip("no mounts here");
    const disk = state.disk.folder;
    fillDisk(disk);
    const solo = await project().container("solo");
    await fault("full disk, and solo restarts", ["solo"], async () => {
      const sinceMs = Date.now();
      await docker("restart", "-t", "1", solo);
      return await events().at(solo, "start", sinceMs);
    });
    const text = readFileSync(path.join(project().folder, "mesh.yaml"), "utf8");
    project().write("mesh.yaml", text.replace("solo: { port: 8080 }", "solo: { port: 8080, timeout: 9876ms }"));
    await eventually(async () =>
      expect((await project().status()).config).toMatchObject({ revision: 2, isInSync: true }),
    );
    expect((await project().status()).troubles).toEqual([expect.stringMatching(/the disk is full \(DM0402\); free/)]);
    expect((await project().cli("status")).stdout).toMatch(/cannot write .*the disk is full/);
    freeDisk(disk);
    await eventually(async () => expect((await project().status()).troubles).toEqual([]));
    const written = readdirSync(disk, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".json"));
    expect(written.some((name) => readFileSync(path.join(disk, name), "utf8").includes("9876"))).toBe(true);
  },
);

test("certificates that expire because no daemon lives fail clearly what is new, and the next daemon mends it", async () => {
  const before = await project().status();
  process.kill(before.pid, "SIGKILL");
  await fault("certificates expired", ["tunnel"], async () => {
    const sinceMs = Date.now();
    await noticed("tunnel", sinceMs);
    const failed = failures(load("tunnel").sent).filter(({ end }) => end >= sinceMs);
    console.log(`expired: ${failed[0]?.reason}`);
    const isClear = ({ flags, reason }: Sent): boolean => flags === "UF" && /certificate has expired/.test(reason);
    expect(failed.filter((one) => !isClear(one))).toEqual([]);
    await project().status();
    return Date.now();
  });
  const expiries = ({ services }: StatusView) =>
    services.flatMap((one) => one.workloads.map((w) => w.certificateExpiresAt));
  const after = expiries(await project().status());
  expect(after.every((at) => Date.parse(at ?? "") > Date.now())).toBe(true);
  expect(after.some((at) => expiries(before).includes(at))).toBe(false);
});

test("another service that gets both addresses of one that ended gets none of its requests", async () => {
  const solo = await project().container("solo");
  const [on, onMesh] = await Promise.all([addressOf(solo, network), addressOf(solo, meshNetwork)]);
  const labels = [`devmesh.mesh=${mesh}`, "devmesh.service=thief"].flatMap((label) => ["--label", label]);
  const apps = await docker("inspect", "-f", "{{range .Mounts}}{{.Source}}{{end}}", solo);
  const about = ["--name", `${project().name}-thief`, "-e", "NAME=thief", "-v", `${apps}:/apps:ro`, "--expose", "8080"];
  const command = ["--entrypoint", "node", project().env.DEVMESH_SHOP_IMAGE ?? "", "/apps/echo.ts"];
  try {
    await fault("address reuse, solo", ["solo"], async () => {
      await docker("kill", solo);
      const thief = await docker("create", "--network", network, "--ip", on, ...labels, ...about, ...command);
      await docker("network", "connect", "--ip", onMesh, meshNetwork, thief);
      await docker("start", thief);
      expect([await addressOf(thief, network), await addressOf(thief, meshNetwork)]).toEqual([on, onMesh]);
      const answer = `fetch("http://thief:8080/").then(async (r) => console.log(r.status, (await r.json()).name))`;
      await eventually(async () => expect(await project().evaluate("client", answer)).toBe("200 thief"), 20_000);
      await docker("start", solo);
      return Date.now();
    });
  } finally {
    await docker("rm", "-f", `${project().name}-thief`).catch(() => undefined);
  }
});

test("over the whole time nothing failed but what was hit, and nobody else answered", async () => {
  for (const name of names) {
    const sent = await load(name).stop();
    console.log(`all of it, ${name}: ${describeLoad(sent)}`);
    expect(unexplained(name, sent)).toEqual([]);
  }
  const frozen = await docker("ps", "-q", "--filter", "status=paused", "--filter", `label=dev.devmesh.mesh=${mesh}`);
  expect(frozen).toBe("");
  const view = await project().status();
  expect([view.health, view.services.flatMap(({ workloads }) => workloads.map(({ sidecar }) => sidecar))]).toEqual([
    "ok",
    ["ready", "ready", "ready", "ready"],
  ]);
});
