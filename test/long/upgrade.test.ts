// A newer devmesh takes over a mesh under load: it goes on with the proxies that run, and replaces them when it is asked to.
import { afterAll, beforeAll, expect, test } from "vitest";
import { outdatedReason, type StatusView } from "../../daemon/api/view.ts";
import { eventually } from "../support/eventually.ts";
import { describeLoad, failures, isSuccess, Load, type Sent } from "../support/load.ts";
import { MeshProject, unusedPort } from "../support/mesh-project.ts";
import { echoService } from "../support/refused.ts";
import { builtImages } from "../support/shop-project.ts";

const mesh = `upgrade${process.pid}`;
/** What the version before had: the same proxy under another tag, as far as this is about tags alone. */
const older = `t${process.pid}upgrade/proxy:older`;
const newer = builtImages().proxy;
const state = { project: null as MeshProject | null, port: 0 };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  state.port = await unusedPort();
  state.project = new MeshProject({
    name: "upgrade",
    compose: `services:${["client", "api", "solo"].map((name) => echoService(name)).join("")}\n`,
    mesh: `
name: ${mesh}
mtls: strict
services:
  client: { port: 8080 }
  api: { port: 8080 }
  solo: { port: 8080 }
gateway:
  - { listen: ${state.port}, to: api }
`,
  });
  await project().docker("tag", newer, older);
  project().env.DEVMESH_PROXY_IMAGE = older;
  await project().up("--", "--scale", "api=3");
  project().env.DEVMESH_PROXY_IMAGE = newer;
});

afterAll(async () => {
  await state.project?.close();
  await state.project?.docker("rmi", "-f", older).catch(() => undefined);
});

const names = ["api", "solo", "gateway"] as const;
type Name = (typeof names)[number];

async function underLoad(work: () => Promise<unknown>): Promise<Record<Name, readonly Sent[]>> {
  const options = { rate: 50, timeoutMs: 10_000 };
  const client = await project().container("client");
  const loads = {
    api: await Load.inContainer(client, { ...options, url: "http://api:8080/?ms=20" }),
    solo: await Load.inContainer(client, { ...options, url: "http://solo:8080/?ms=20" }),
    gateway: await Load.onHost({ ...options, url: `http://127.0.0.1:${state.port}/?ms=20` }),
  };
  try {
    await work();
    await Promise.all(names.map((name) => loads[name].successes(50)));
  } finally {
    await Promise.all(names.map((name) => loads[name].stop()));
  }
  for (const name of names) {
    console.log(`${name}: ${describeLoad(loads[name].sent)}`);
    const answered = loads[name].sent.filter(
      (one) => isSuccess(one) && one.name !== (name === "solo" ? "solo" : "api"),
    );
    expect(answered, name).toEqual([]);
  }
  return { api: loads.api.sent, solo: loads.solo.sent, gateway: loads.gateway.sent };
}

/** Ids of sidecars and gateways with their images, by name. */
async function proxies(): Promise<readonly string[]> {
  const ofKind = async (kind: string): Promise<string> => {
    const labels = [`dev.devmesh.mesh=${mesh}`, `dev.devmesh.kind=${kind}`];
    return await project().docker("ps", "-q", ...labels.flatMap((label) => ["--filter", `label=${label}`]));
  };
  const ids = `${await ofKind("sidecar")}\n${await ofKind("gateway")}`;
  const format = '{{.Name}} {{.Id}} {{index .Config.Labels "dev.devmesh.image"}}';
  return (await project().docker("inspect", "-f", format, ...ids.split("\n"))).split("\n").sort();
}

const reasons = ({ services }: StatusView): readonly string[] =>
  services.flatMap(({ workloads }) => workloads.map(({ reason }) => reason));

test("the newer daemon goes on with every proxy that runs, and not one request fails", async () => {
  const before = await proxies();
  const { pid } = await project().status();
  const sent = await underLoad(async () => {
    const { stderr } = await project().up("--", "--scale", "api=3");
    expect(stderr).toContain("its daemon was started anew");
    expect(stderr).toMatch(/5 of another version.* up --renew/);
  });
  for (const name of names) expect(failures(sent[name]), name).toEqual([]);
  const view = await project().status();
  expect(view.pid).not.toBe(pid);
  expect([view.health, reasons(view)]).toEqual(["ok", Array.from({ length: 5 }, () => outdatedReason)]);
  expect(await proxies()).toEqual(before);
});

test("a container that restarts gets a proxy of the newer version", async () => {
  await project().docker("restart", "-t", "1", await project().container("solo"));
  await eventually(
    async () => expect((await proxies()).filter((line) => line.endsWith(newer))).toHaveLength(1),
    30_000,
  );
  await eventually(async () => expect((await project().status()).health).toBe("ok"), 30_000);
});

test("up --renew replaces the rest one after the other, and callers of a service with replicas notice nothing", async () => {
  const client = await project().container("client");
  // A caller's own proxy cannot be replaced without its calls noticing: it is renewed before there is a load.
  await project().docker("restart", "-t", "1", client);
  await eventually(
    async () => expect((await proxies()).filter((line) => line.endsWith(newer))).toHaveLength(2),
    30_000,
  );
  await eventually(async () => expect((await project().status()).health).toBe("ok"), 30_000);
  const sent = await underLoad(async () => {
    const startedAt = performance.now();
    await project().up("--renew", "--", "--scale", "api=3");
    console.log(`up --renew: ${Math.round(performance.now() - startedAt)} ms for three replicas and a gateway`);
  });
  for (const name of ["api", "solo"] as const) expect(failures(sent[name]), name).toEqual([]);
  // A port of the host has one holder: it is away while the gateway is replaced, and no answer is a wrong one.
  expect(failures(sent.gateway).filter(({ status }) => status !== 0)).toEqual([]);
  const view = await project().status();
  expect([view.health, reasons(view).filter((reason) => reason !== "")]).toEqual(["ok", []]);
  expect((await proxies()).every((line) => line.endsWith(newer))).toBe(true);
});
