// `down`: takes everything of this mesh out of Docker and leaves applications as they were. May be run again at any point.
import { inspectContainer, listContainerIds, removeContainer, stopContainer } from "./containers.ts";
import { type Engine, EngineError, isStatus } from "./engine.ts";
import { type PauseJournal, releaseLeftovers } from "./hold.ts";
import type { EngineFacts } from "./image.ts";
import { asRecord } from "./json.ts";
import { isOfState, label, type MeshIdentity } from "./labels.ts";
import { isSameRun, leaveNetwork } from "./leave-network.ts";
import { disconnectContainer, listConnected, listOwnNetworks, removeNetwork } from "./network.ts";
import { runOneShot } from "./one-shot.ts";
import { type NetworkFacts, readLabels, readOwnContainer } from "./read-container.ts";
import type { OwnContainer } from "./world.ts";

/** What proxies get to finish their connections before they go. */
const drainS = 2;
const atOnceMax = 8;

export interface TearDownOptions {
  readonly engine: Engine;
  readonly identity: MeshIdentity;
  readonly facts: EngineFacts;
  /** The proxy's image, for one-shots where a sidecar's own is not known. */
  readonly image: string;
  readonly journal: PauseJournal;
  readonly onProgress: (text: string) => void;
}

/** What could not be undone, each with its reason; [] when nothing of devmesh is left. Throws EngineError without an engine. */
export async function tearDown(options: TearDownOptions): Promise<readonly string[]> {
  const { engine, identity, journal, onProgress } = options;
  const problems: string[] = [];
  const attempt = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      // Without an engine, every further step would only say the same.
      if (error instanceof EngineError && error.status === 0 && error.code !== "ETIMEDOUT") throw error;
      problems.push(`${what}: ${(error as Error).message}`);
    }
  };
  await attempt("unpausing", () => releaseLeftovers(engine, journal));

  const own = await listOwn(engine, identity);
  const networks = await listOwnNetworks(engine, identity);
  const gateways = own.filter(({ kind }) => kind === "gateway");
  if (gateways.length > 0) onProgress(`closing ${count(gateways.length, "gateway")}`);
  await each(gateways, (gateway) => attempt(gateway.name, () => stopAndRemove(engine, gateway)));

  const connected = new Map<string, readonly string[]>();
  for (const network of networks) connected.set(network.id, await listConnected(engine, network));
  const ownIds = new Set(own.map(({ id }) => id));
  const applications = new Set([...own.map(({ owner }) => owner), ...[...connected.values()].flat()]);
  const detached = [...applications].filter((id) => id !== "" && !ownIds.has(id));
  const existing = new Set(detached.length === 0 ? [] : await listContainerIds(engine, {}));
  const there = detached.filter((id) => existing.has(id));
  if (there.length > 0) onProgress(`taking ${count(there.length, "container")} out of the mesh`);
  await each(detached, async (id) => {
    const sidecars = own.filter(({ kind, owner }) => kind === "sidecar" && owner === id);
    await attempt(`rules of ${id.slice(0, 12)}`, () => removeRulesOf(options, id, sidecars));
    await each(sidecars, (sidecar) => attempt(sidecar.name, () => stopAndRemove(engine, sidecar)));
    for (const [networkId, ids] of connected) {
      if (ids.includes(id)) await attempt(`disconnecting ${id}`, () => leaveNetwork(options, id, networkId));
    }
  });

  // Again from the start: whatever was made meanwhile, and one-shots.
  const left = await listOwn(engine, identity);
  await each(left, ({ id, name }) => attempt(name, () => removeContainer(engine, id)));
  if (networks.length > 0) onProgress(`removing ${count(networks.length, "network")}`);
  await each(networks, (network) => attempt(network.name, () => removeEmptied(engine, network)));
  return problems;
}

async function removeRulesOf(options: TearDownOptions, id: string, sidecars: readonly OwnContainer[]): Promise<void> {
  const inspected = asRecord(await inspectContainer(options.engine, id));
  if (asRecord(inspected.State).Running !== true) return; // Its namespace is gone, and the rules with it.
  // What is on the gateways' bridge without a namespace of the mesh has no rules; removing none is no error.
  const image = sidecars[0]?.image || options.image;
  try {
    await runOneShot({ ...options, image }, { kind: "remove-rules", containerId: id });
  } catch (error) {
    if (await isSameRun(options.engine, inspected)) throw error; // Else it ended, or restarted without the rules.
  }
}

async function stopAndRemove(engine: Engine, own: OwnContainer): Promise<void> {
  if (own.state === "running") await stopContainer(engine, own.id, drainS);
  await removeContainer(engine, own.id);
}

/** A container that was connected since is disconnected too: a stopped one would never start again without the network. */
async function removeEmptied(engine: Engine, network: NetworkFacts): Promise<void> {
  for (const id of await listConnected(engine, network)) await disconnectContainer(engine, network.id, id);
  await removeNetwork(engine, network.id);
}

async function listOwn(engine: Engine, identity: MeshIdentity): Promise<OwnContainer[]> {
  const ids = await listContainerIds(engine, { label: [`${label.stateId}=${identity.stateId}`] });
  const own: OwnContainer[] = [];
  await each(ids, async (id) => {
    const inspected = await inspectContainer(engine, id).catch((error: unknown) => {
      if (isStatus(error, 500)) return null; // It is being removed while we ask.
      throw error;
    });
    if (inspected !== null && isOfState(readLabels(inspected), identity)) own.push(readOwnContainer(inspected, ""));
  });
  return own;
}

async function each<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  const worker = async () => {
    for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: Math.min(atOnceMax, waiting.length) }, worker));
}

function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
