// Docker's edge against a real engine: the World as it changes, networks, the control stream, logs.
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { pauseContainer, removeContainer, stopContainer, unpauseContainer } from "../../daemon/docker/containers.ts";
import { openControlStream } from "../../daemon/docker/control-stream.ts";
import { connectEngine } from "../../daemon/docker/engine.ts";
import { followLogs, type LogLine } from "../../daemon/docker/logs.ts";
import {
  connectContainer,
  disconnectContainer,
  ensureMeshNetwork,
  listConnected,
  removeNetwork,
} from "../../daemon/docker/network.ts";
import { WorldWatch } from "../../daemon/docker/world-watch.ts";
import { eventually } from "../support/eventually.ts";
import { type EngineLab, execText, openEngineLab, quiet } from "./engine-lab.ts";

/** Three times the second that is asked for: other suites share the machine. */
const shownWithinMs = 3000;

let lab: EngineLab;
beforeAll(async () => {
  lab = await openEngineLab("edge");
});
afterAll(() => lab.close());

function watchWorld(engine = lab.engine): WorldWatch {
  return new WorldWatch({ engine, identity: lab.identity, log: quiet, random: Math.random });
}

describe("WorldWatch", () => {
  test("shows a start, a new name, a pause and an end within a second each", async () => {
    await using watch = watchWorld();
    const actions: string[] = [];
    watch.onEvent(({ action }) => actions.push(action));
    await watch.ready;
    const id = await lab.run("seen");
    const find = () => watch.snapshot().containers.find((container) => container.id === id);
    await eventually(() => expect(find()).toMatchObject({ service: "seen", state: "running" }), shownWithinMs);
    expect(find()?.networks[0]).toMatchObject({ network: "bridge", subnet: expect.stringContaining("/") });
    await lab.engine.call({
      method: "POST",
      path: `/containers/${id}/rename`,
      query: { name: `${lab.identity.mesh}-new` },
    });
    await eventually(() => expect(find()?.name).toBe(`${lab.identity.mesh}-new`), shownWithinMs);
    await pauseContainer(lab.engine, id);
    await eventually(() => expect(find()?.state).toBe("paused"), shownWithinMs);
    await unpauseContainer(lab.engine, id);
    await eventually(() => expect(find()?.state).toBe("running"), shownWithinMs);
    await lab.engine.call({ method: "POST", path: `/containers/${id}/kill` });
    await eventually(() => expect(find()?.state).toBe("exited"), shownWithinMs);
    await removeContainer(lab.engine, id);
    await eventually(() => expect(find()).toBeUndefined(), shownWithinMs);
    expect(actions).toEqual(
      expect.arrayContaining(["create", "start", "rename", "pause", "unpause", "die", "destroy"]),
    );
  });

  test("knows what happened while the engine could not be reached", async () => {
    await using door = await openDoor();
    await using engine = await connectEngine({ DOCKER_HOST: `unix://${door.path}` });
    await using watch = watchWorld(engine);
    await watch.ready;
    door.shut();
    await eventually(() => expect(watch.isConnected).toBe(false));
    const id = await lab.run("missed");
    expect(watch.snapshot().containers).toEqual([]);
    door.open();
    await eventually(() => expect(watch.snapshot().containers.map((container) => container.id)).toEqual([id]));
    expect(watch.isConnected).toBe(true);
    await removeContainer(lab.engine, id);
    await eventually(() => expect(watch.snapshot().containers).toEqual([]));
  });

  test("does not see containers of other meshes", async () => {
    await using watch = watchWorld();
    await watch.ready;
    const seen: string[] = [];
    watch.onEvent(({ containerId }) => seen.push(containerId));
    const other = await lab.run("other", ["sleep", "600"], { Labels: { hf: "1", "devmesh.mesh": "another" } });
    const ours = await lab.run("ours");
    await eventually(() => expect(watch.snapshot().containers.map(({ id }) => id)).toEqual([ours]));
    expect(seen).not.toContain(other);
    for (const id of [other, ours]) await removeContainer(lab.engine, id);
  });
});

describe("the mesh's network", () => {
  test("is internal, made once, and refused to another folder's daemon", async () => {
    const { engine, identity } = lab;
    const made = await ensureMeshNetwork(engine, identity);
    expect(made).toMatchObject({ name: `zz_devmesh_${identity.mesh}`, gateway: expect.stringMatching(/\.0\.1$/) });
    expect(await ensureMeshNetwork(engine, identity)).toEqual(made);
    const stranger = { ...identity, stateId: "another folder" };
    await expect(ensureMeshNetwork(engine, stranger)).rejects.toMatchObject({ code: "DM0405" });
    const inspected = await engine.call({ method: "GET", path: `/networks/${made.id}` });
    const pool = { Subnet: made.subnet, IPRange: made.subnet.replace("/16", "/17") };
    expect(inspected).toMatchObject({ Internal: true, IPAM: { Config: [expect.objectContaining(pool)] } });
    await removeNetwork(engine, made.id);
    await removeNetwork(engine, made.id);
    // The same mesh takes the same subnet again, unless compose is about to make a network there.
    const elsewhere = await ensureMeshNetwork(engine, identity, [made.subnet]);
    expect(elsewhere.subnet).not.toBe(made.subnet);
    await removeNetwork(engine, elsewhere.id);
  });

  test("takes and gives back running, paused and stopped containers, however often it is asked", async () => {
    const { engine } = lab;
    const network = await ensureMeshNetwork(engine, lab.identity);
    const { id: networkId, name } = network;
    const id = await lab.run("joining");
    const isConnected = async () => (await lab.read(id)).networks.some(({ network }) => network === name);
    const inAndOut = async () => {
      for (let n = 0; n < 2; n++) await connectContainer(engine, networkId, id);
      expect(await isConnected()).toBe(true);
      expect(await listConnected(engine, network)).toEqual([id]);
      for (let n = 0; n < 2; n++) await disconnectContainer(engine, networkId, id);
      expect(await isConnected()).toBe(false);
    };
    await inAndOut();
    await pauseContainer(engine, id);
    await inAndOut();
    await unpauseContainer(engine, id);
    await stopContainer(engine, id, 0);
    await inAndOut();
    await removeContainer(engine, id);
    await disconnectContainer(engine, networkId, id);
    await removeNetwork(engine, networkId);
  });
});

describe("the control stream", () => {
  const tmpfs = { "/run/devmesh": "rw,noexec,nosuid,nodev,size=16m,mode=0755,uid=1337,gid=1337" };

  test("carries bytes both ways through the unix socket, and ends when either side does", async () => {
    const server = ["socat", "UNIX-LISTEN:/run/devmesh/control.sock,fork", "EXEC:cat"];
    const id = await lab.run("proxy", server, {
      User: "1337:1337",
      HostConfig: { Tmpfs: tmpfs, ReadonlyRootfs: true },
    });
    await eventually(async () => expect(await execText(lab.engine, id, ["ls", "/run/devmesh"])).toBe("control.sock\n"));
    const stream = await openControlStream(lab.engine, id);
    const sent = randomBytes(1_000_000).toString("hex");
    stream.end(sent);
    let received = "";
    for await (const chunk of stream) received += String(chunk);
    expect(received === sent).toBe(true);

    const idle = await openControlStream(lab.engine, id);
    idle.write("hello\n");
    expect(String((await once(idle, "data"))[0])).toBe("hello\n");
    const isClosed = once(idle, "close");
    idle.resume();
    await removeContainer(lab.engine, id);
    await isClosed;
  });

  test("says why when there is no socket yet, and when the container does not run", async () => {
    const id = await lab.run("early", ["sleep", "600"], { HostConfig: { Tmpfs: tmpfs } });
    const stream = await openControlStream(lab.engine, id);
    const [error] = await once(stream, "error");
    expect(String(error)).toMatch(/control\.sock.*No such file/);
    await pauseContainer(lab.engine, id);
    await expect(openControlStream(lab.engine, id)).rejects.toMatchObject({ status: 409 });
    await unpauseContainer(lab.engine, id);
    await removeContainer(lab.engine, id);
    await expect(openControlStream(lab.engine, id)).rejects.toMatchObject({ status: 404 });
  });

  test("a reader that does not read holds the writer back, and loses nothing", async () => {
    const id = await lab.run("slow");
    const stream = await openControlStream(lab.engine, id, { command: ["head", "-c", "20000000", "/dev/zero"] });
    stream.end();
    await once(stream, "readable");
    expect(stream.readableLength).toBeLessThan(1_000_000);
    let bytes = 0;
    for await (const chunk of stream) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(20_000_000);
    await removeContainer(lab.engine, id);
  });
});

describe("followLogs", () => {
  test("gives the lines of several containers with their streams, and new ones as they come", async () => {
    const script = (text: string) => [
      "sh",
      "-c",
      `echo ${text} out; echo ${text} err >&2; sleep 0.3; echo ${text} late; sleep 600`,
    ];
    const ids = [await lab.run("one", script("one")), await lab.run("two", script("two"))];
    const stop = new AbortController();
    const lines: LogLine[] = [];
    for await (const line of followLogs(lab.engine, ids, { follow: true, signal: stop.signal })) {
      lines.push(line);
      if (lines.length === 6) stop.abort();
    }
    const texts = lines.map(({ stream, line }) => `${stream} ${line}`).sort();
    const expected = ["one", "two"].flatMap((text) => [
      `stderr ${text} err`,
      `stdout ${text} late`,
      `stdout ${text} out`,
    ]);
    expect(texts).toEqual(expected.sort());
    expect(lines[0]?.at).toMatch(/^\d{4}-/);
    const tail: string[] = [];
    for await (const { line } of followLogs(lab.engine, [...ids, "gone"], { tail: 1 })) tail.push(line);
    expect(tail.sort()).toEqual(["one late", "two late"]);
    for (const id of ids) await removeContainer(lab.engine, id);
  });
});

/** A door to the engine's socket that can be shut: what an engine that restarts looks like. */
async function openDoor() {
  const path = join(tmpdir(), `hf-door-${process.pid}.sock`);
  const sockets = new Set<Socket>();
  let isOpen = true;
  const server = createServer((client) => {
    if (!isOpen) {
      client.destroy();
      return;
    }
    const upstream = connect(lab.engine.url.replace("unix://", ""));
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => undefined);
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("data", (chunk) => upstream.write(chunk));
    upstream.on("data", (chunk) => client.write(chunk));
    client.on("close", () => upstream.destroy());
    upstream.on("close", () => client.destroy());
  });
  server.listen(path);
  await once(server, "listening");
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    path,
    shut() {
      isOpen = false;
      cut();
    },
    open() {
      isOpen = true;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, "close");
      server.close();
      cut();
      await closed;
      rmSync(path, { force: true });
    },
  };
}
