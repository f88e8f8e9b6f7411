// A corner of a real Docker engine for one test file: containers, networks and an image that end with it.
import { readFileSync } from "node:fs";
import {
  createContainer,
  inspectContainer,
  listContainerIds,
  removeContainer,
  startContainer,
} from "../../daemon/docker/containers.ts";
import { connectEngine, type Engine } from "../../daemon/docker/engine.ts";
import { asRecord, asString } from "../../daemon/docker/json.ts";
import { label, type MeshIdentity } from "../../daemon/docker/labels.ts";
import { listOwnNetworks, removeNetwork } from "../../daemon/docker/network.ts";
import { readContainer } from "../../daemon/docker/read-container.ts";
import type { Container } from "../../daemon/docker/world.ts";

/** Plays the proxy: runs until it is stopped, and does the one-shots that a shell can do. */
const standIn = [
  'case "$0" in',
  "sidecar|gateway) trap 'exit 0' TERM; while :; do sleep 0.05; done;;",
  'clean-hosts) grep -v "^$1[[:space:]]" /etc/hosts > /tmp/hosts; cat /tmp/hosts > /etc/hosts;;',
  'add-hosts) echo "$1" | base64 -d >> /etc/hosts;;',
  "remove-rules) exit 0;;",
  '*) echo "no such command: $0" >&2; exit 3;;',
  "esac",
].join("\n");

export interface EngineLab {
  readonly engine: Engine;
  readonly identity: MeshIdentity;
  /** The proxy's real image: Debian with socat. */
  readonly image: string;
  readonly standInImage: string;
  /** Creates and starts an application container of the mesh. Its id. */
  run(name: string, command?: readonly string[], more?: object): Promise<string>;
  read(id: string): Promise<Container>;
  close(): Promise<void>;
}

export const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };

export async function openEngineLab(name: string): Promise<EngineLab> {
  const engine = await connectEngine(process.env);
  const mesh = `hf-${name}-${process.pid}`;
  const identity: MeshIdentity = { mesh, project: mesh, stateId: `state-${process.pid}` };
  const tags = JSON.parse(readFileSync(new URL("../../dist/images.json", import.meta.url), "utf8")) as {
    proxy: string;
  };
  const standInImage = `${mesh}:stand-in`;
  const created: string[] = [];
  const template = await createContainer(engine, `${mesh}-template`, { Image: tags.proxy, Labels: { hf: "1" } });
  const changes = `ENTRYPOINT ${JSON.stringify(["/bin/sh", "-c", standIn])}`;
  const query = { container: template, repo: mesh, tag: "stand-in", changes };
  await engine.call({ method: "POST", path: "/commit", query, timeoutMs: 60_000 });
  await removeContainer(engine, template);

  return {
    engine,
    identity,
    image: tags.proxy,
    standInImage,
    async run(short, command = ["sleep", "600"], more = {}) {
      const labels = { hf: "1", "devmesh.mesh": mesh, "devmesh.service": short };
      const body = { Image: tags.proxy, Entrypoint: command, Cmd: [], User: "0:0", Labels: labels, ...more };
      const id = await createContainer(engine, `${mesh}-${short}`, body);
      created.push(id);
      await startContainer(engine, id);
      return id;
    },
    async read(id) {
      return readContainer(await inspectContainer(engine, id), new Map());
    },
    async close() {
      const own = await listContainerIds(engine, { label: [`${label.mesh}=${mesh}`] });
      for (const id of [...own, ...created]) await removeContainer(engine, id);
      for (const { id } of await listOwnNetworks(engine, identity)) await removeNetwork(engine, id);
      await engine.call({ method: "DELETE", path: `/images/${standInImage}`, query: { force: true } });
      await engine.close();
    },
  };
}

/** What a command in a running container prints. */
export async function execText(engine: Engine, id: string, command: readonly string[]): Promise<string> {
  const { openControlStream } = await import("../../daemon/docker/control-stream.ts");
  const stream = await openControlStream(engine, id, { command, user: "0:0" });
  stream.end();
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** The container whose namespace it joined. */
export async function networkModeOf(engine: Engine, id: string): Promise<string> {
  return asString(asRecord(asRecord(await inspectContainer(engine, id)).HostConfig).NetworkMode);
}
