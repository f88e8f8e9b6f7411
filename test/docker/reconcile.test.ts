// Plans carried out on a real engine: attaching, mending, gateways, holding, and taking everything away again.
import { once } from "node:events";
import { createServer } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  inspectContainer,
  listContainerIds,
  pauseContainer,
  removeContainer,
  startContainer,
  stopContainer,
} from "../../daemon/docker/containers.ts";
import { ActionRunner } from "../../daemon/docker/execute.ts";
import { HoldGate, type PauseJournal, releaseLeftovers } from "../../daemon/docker/hold.ts";
import { ensureImage, readEngineFacts } from "../../daemon/docker/image.ts";
import { label } from "../../daemon/docker/labels.ts";
import { listOwnNetworks } from "../../daemon/docker/network.ts";
import type { DesiredGateway } from "../../daemon/docker/own-spec.ts";
import { planActions } from "../../daemon/docker/plan.ts";
import { tearDown } from "../../daemon/docker/teardown.ts";
import type { World } from "../../daemon/docker/world.ts";
import { WorldWatch } from "../../daemon/docker/world-watch.ts";
import { eventually } from "../support/eventually.ts";
import { type EngineLab, execText, networkModeOf, openEngineLab, quiet } from "./engine-lab.ts";

let lab: EngineLab;
let mesh: Awaited<ReturnType<typeof openMesh>>;
beforeAll(async () => {
  lab = await openEngineLab("plan");
});
afterAll(() => lab.close());
beforeEach(async () => {
  mesh = await openMesh();
});
afterEach(() => mesh.close());

/** The daemon's loop in small: every running container that `wants` names is meshed. */
async function openMesh() {
  const { engine, identity, standInImage: image } = lab;
  const world = new WorldWatch({ engine, identity, log: quiet, random: Math.random });
  const facts = await readEngineFacts(engine);
  const wants = { services: new Set<string>(), gateways: [] as DesiredGateway[] };
  const paused = new Set<string>();
  const journal: PauseJournal = {
    add: async (id) => void paused.add(id),
    remove: async (id) => void paused.delete(id),
    list: async () => [...paused],
  };
  const plan = () => {
    const snapshot = world.snapshot();
    const isUp = (state: string) => state === "running" || state === "paused";
    const sidecars = snapshot.containers
      .filter(({ service, state }) => wants.services.has(service) && isUp(state))
      .map(({ id, name, startedAt }) => ({ containerId: id, container: name, startedAt }));
    const desired = {
      image,
      sidecars,
      gateways: wants.gateways,
      hostsCleaned: runner.hostsCleaned,
      replaced: new Set<string>(),
    };
    runner.submit(planActions({ world: snapshot, desired }));
  };
  const now = () => performance.now();
  const context = { engine, identity, image, facts, log: quiet, random: Math.random, now, world };
  const runner = new ActionRunner({ ...context, onSettled: plan });
  world.onChange(plan);
  await world.ready;
  const down = () => tearDown({ engine, identity, facts, image, journal, onProgress: () => undefined });
  const close = async () => {
    await runner.close();
    await world.close();
    expect(await down()).toEqual([]);
  };
  return { world, runner, wants, paused, journal, plan, down, close };
}

function want(...services: string[]): void {
  mesh.wants.services = new Set(services);
  mesh.plan();
}

function sidecarOf(world: World, id: string) {
  return world.own.find(({ kind, owner }) => kind === "sidecar" && owner === id);
}

/** Its running sidecar, once the container is in the mesh with a clean hosts file. */
async function attached(id: string) {
  return eventually(() => {
    const world = mesh.world.snapshot();
    const sidecar = sidecarOf(world, id);
    expect(sidecar?.state).toBe("running");
    const address = world.containers
      .find((container) => container.id === id)
      ?.networks.find(({ networkId }) => networkId === world.mesh?.id)?.address;
    expect(address).toMatch(/^\d/);
    expect([...mesh.runner.hostsCleaned].some((key) => key.startsWith(id) && key.endsWith(`@${address}`))).toBe(true);
    return { sidecarId: sidecar?.id ?? "", address: address ?? "" };
  }, 20_000);
}

describe("attaching", () => {
  test("a container gets the network, a sidecar in its namespace, and its hosts file back", async () => {
    const id = await lab.run("plain");
    want("plain");
    const { sidecarId, address } = await attached(id);
    expect(await networkModeOf(lab.engine, sidecarId)).toBe(`container:${id}`);
    const hosts = await execText(lab.engine, id, ["cat", "/etc/hosts"]);
    expect(hosts).not.toContain(address);
    expect(hosts).toContain("localhost");
    const namespaces = [id, sidecarId].map((one) => execText(lab.engine, one, ["readlink", "/proc/self/ns/net"]));
    const [application, sidecar] = await Promise.all(namespaces);
    expect(sidecar).toBe(application);
    await removeContainer(lab.engine, id);
  });

  test("a sidecar that dies is back within a second, a restarted container has a new one", async () => {
    const id = await lab.run("mended");
    want("mended");
    const { sidecarId } = await attached(id);
    await lab.engine.call({ method: "POST", path: `/containers/${sidecarId}/kill` });
    const killedAt = performance.now();
    const startOf = () => sidecarOf(mesh.world.snapshot(), id)?.startedAt;
    const before = startOf();
    await eventually(() => {
      expect(startOf()).not.toBe(before);
      expect(sidecarOf(mesh.world.snapshot(), id)?.state).toBe("running");
    });
    expect(performance.now() - killedAt).toBeLessThan(3000);
    await lab.engine.call({ method: "POST", path: `/containers/${id}/restart`, query: { t: 0 }, timeoutMs: 30_000 });
    await eventually(() => expect(sidecarOf(mesh.world.snapshot(), id)?.id).not.toBe(sidecarId));
    const again = await attached(id);
    const namespaces = [id, again.sidecarId].map((one) => execText(lab.engine, one, ["readlink", "/proc/self/ns/net"]));
    expect(new Set(await Promise.all(namespaces)).size).toBe(1);
    await removeContainer(lab.engine, id);
    await eventually(() => expect(mesh.world.snapshot().own).toEqual([]));
  });

  test("a running container that leaves the mesh keeps running without it", async () => {
    const id = await lab.run("leaving");
    want("leaving");
    await attached(id);
    const { startedAt } = await lab.read(id);
    want();
    await eventually(() => expect(mesh.world.snapshot().own).toEqual([]), 20_000);
    await eventually(async () =>
      expect((await lab.read(id)).networks.map(({ network }) => network)).toEqual(["bridge"]),
    );
    expect(await lab.read(id)).toMatchObject({ state: "running", startedAt });
    await removeContainer(lab.engine, id);
  });

  test("many start at once", async () => {
    const names = Array.from({ length: 6 }, (_, n) => `crowd${n}`);
    want(...names);
    const ids = await Promise.all(names.map((name) => lab.run(name)));
    await Promise.all(ids.map(attached));
    expect(mesh.runner.failures.size).toBe(0);
    await Promise.all(ids.map((id) => removeContainer(lab.engine, id)));
  });

  test("what cannot be created is shown with its reason while the rest runs, and tried again", async () => {
    const blocker = `devmesh-${lab.identity.mesh}-unlucky`;
    const taken = await lab.run("blocker");
    await lab.engine.call({ method: "POST", path: `/containers/${taken}/rename`, query: { name: blocker } });
    const [unlucky, lucky] = [await lab.run("unlucky"), await lab.run("lucky")];
    want("unlucky", "lucky");
    await attached(lucky);
    await eventually(() => expect(mesh.runner.failures.get(unlucky)?.reason).toContain("did not make it"));
    await removeContainer(lab.engine, taken);
    await attached(unlucky);
    expect(mesh.runner.failures.size).toBe(0);
    for (const id of [unlucky, lucky]) await removeContainer(lab.engine, id);
  });
});

describe("gateways", () => {
  test("one is published on its address; a busy port is told with its number and opened when it is free", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const key = `gateway/127.0.0.1:${port}`;
    mesh.wants.gateways = [{ key, host: "127.0.0.1", port, containerPort: 8080 }];
    mesh.plan();
    await eventually(() => expect(mesh.runner.failures.get(key)?.error).toMatchObject({ code: "DM0401" }));
    expect(mesh.runner.failures.get(key)?.reason).toContain(`the host port 127.0.0.1:${port} is in use by `);
    await new Promise((resolve) => server.close(resolve));
    const gateway = await eventually(() => {
      const own = mesh.world.snapshot().own.find(({ kind, state }) => kind === "gateway" && state === "running");
      expect(own?.meshAddress).toMatch(/^\d/);
      return own;
    }, 20_000);
    const { published } = await lab.read(gateway?.id ?? "");
    expect(published).toEqual([{ containerPort: 8080, hostIp: "127.0.0.1", hostPort: port }]);
  });
});

describe("the hold", () => {
  function gate(attach: () => Promise<string | null>, waitReady = async (_sidecarId: string) => true): HoldGate {
    const { journal, world } = mesh;
    const shouldHold = ({ service }: { service: string }) => service.startsWith("held");
    return new HoldGate({ engine: lab.engine, journal, log: quiet, world, shouldHold, attach, waitReady });
  }

  test("a container is frozen from its start until its sidecar is ready, and its name is on disk meanwhile", async () => {
    const states: string[] = [];
    const looks = async () => {
      const [id = ""] = mesh.paused;
      states.push((await lab.read(id)).state);
      return "sidecar";
    };
    await using hold = gate(looks, async (sidecarId) => sidecarId === "sidecar");
    const id = await lab.run("held");
    await eventually(() => expect(states).toEqual(["paused"]));
    await eventually(async () => expect((await lab.read(id)).state).toBe("running"));
    await eventually(() => expect(hold.held.size).toBe(0));
    expect(mesh.paused.size).toBe(0);
    await removeContainer(lab.engine, id);
  });

  test("it is let go when attaching fails, and when it is never ready", async () => {
    const failing = gate(() => Promise.reject(new Error("no image")));
    const id = await lab.run("held-failing");
    await eventually(() => expect(failing.held.size).toBe(1));
    await eventually(() => expect(failing.held.size).toBe(0));
    expect((await lab.read(id)).state).toBe("running");
    await failing.close();
    await using slow = gate(
      async () => "sidecar",
      async () => false,
    );
    await lab.engine.call({ method: "POST", path: `/containers/${id}/restart`, query: { t: 0 }, timeoutMs: 30_000 });
    await eventually(() => expect(slow.held.size).toBe(0));
    await eventually(async () => expect((await lab.read(id)).state).toBe("running"));
    await removeContainer(lab.engine, id);
  });

  test("a health check, an early end and somebody else's pause are left alone", async () => {
    let attachedTimes = 0;
    await using hold = gate(async () => String(++attachedTimes));
    const healthy = await lab.run("held-healthy", ["sleep", "600"], { Healthcheck: { Test: ["CMD", "true"] } });
    const brief = await lab.run("held-brief", ["true"]);
    const other = await lab.run("not-held");
    await eventually(async () => expect((await lab.read(brief)).state).toBe("exited"));
    await eventually(() => expect(hold.held.size).toBe(0));
    expect((await lab.read(healthy)).state).toBe("running");
    expect((await lab.read(other)).state).toBe("running");
    expect(mesh.paused.size).toBe(0);
    for (const id of [healthy, brief, other]) await removeContainer(lab.engine, id);
  });

  test("what a killed daemon left frozen is released, and what is gone is forgotten", async () => {
    const id = await lab.run("left");
    await mesh.journal.add(id);
    await mesh.journal.add("gone");
    await pauseContainer(lab.engine, id);
    await releaseLeftovers(lab.engine, mesh.journal);
    expect((await lab.read(id)).state).toBe("running");
    expect(mesh.paused.size).toBe(0);
    await removeContainer(lab.engine, id);
  });
});

describe("down", () => {
  test("leaves nothing of ours, running containers running and stopped ones able to start", async () => {
    const { engine, identity } = lab;
    const running = await lab.run("stays");
    const stopped = await lab.run("stopped");
    const before = await lab.read(running);
    const route = await execText(engine, running, ["cat", "/proc/net/route"]);
    want("stays", "stopped");
    await attached(running);
    await attached(stopped);
    await stopContainer(engine, stopped, 0);
    await eventually(() => expect(sidecarOf(mesh.world.snapshot(), stopped)).toBeUndefined());
    await mesh.runner.close();
    expect(await mesh.down()).toEqual([]);
    expect(await mesh.down()).toEqual([]);
    expect(await listContainerIds(engine, { label: [`${label.mesh}=${identity.mesh}`] })).toEqual([]);
    expect(await listOwnNetworks(engine, identity)).toEqual([]);
    expect(await lab.read(running)).toEqual(before);
    expect(await execText(engine, running, ["cat", "/proc/net/route"])).toBe(route);
    await startContainer(engine, stopped);
    expect((await lab.read(stopped)).state).toBe("running");
    for (const id of [running, stopped]) await removeContainer(engine, id);
  });

  test("does not touch what another folder's daemon made under the same name", async () => {
    const labels = { hf: "1", [label.mesh]: lab.identity.mesh, [label.stateId]: "another", [label.kind]: "sidecar" };
    const foreign = await lab.run("foreign", ["sleep", "600"], { Labels: labels });
    expect(await mesh.down()).toEqual([]);
    expect(await inspectContainer(lab.engine, foreign)).not.toBeNull();
    expect(mesh.world.snapshot().own).toEqual([]);
    await removeContainer(lab.engine, foreign);
  });
});

test("an image that is not there is a Problem with what to do", async () => {
  await expect(ensureImage(lab.engine, "devmesh/proxy:nowhere")).rejects.toMatchObject({ code: "DM0403" });
  expect((await ensureImage(lab.engine, lab.image)).id).toMatch(/^sha256:/);
});
