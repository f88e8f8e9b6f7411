// The mesh's two networks: the internal one that every workload joins, and an ordinary bridge for gateways alone.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { Problem } from "../api/problem.ts";
import { listContainerIds } from "./containers.ts";
import { type Engine, EngineError, isStatus } from "./engine.ts";
import { asArray, asRecord, asString } from "./json.ts";
import { gatewayNetworkName, isOurs, label, type MeshIdentity, meshNetworkName, ownLabels } from "./labels.ts";
import { type NetworkFacts, readNetwork } from "./read-container.ts";
import { chooseSubnet, firstAddress, lowerHalf, parseRoutes } from "./subnet.ts";
import type { MeshNetwork } from "./world.ts";

/** Creating a bridge or an endpoint takes some 50 ms; a busy CI machine needs seconds. */
const changeTimeoutMs = 30_000;
/** Another program may take the subnet between our look and our call. */
const subnetAttemptsMax = 8;

const network = (id: string) => `/networks/${encodeURIComponent(id)}`;

/**
 * Finds or creates `zz_devmesh_<mesh>`. `reserved`: IPv4 CIDRs of networks that are not there yet, which it must not take.
 * Throws Problem DM0405 when another folder's mesh has it.
 */
export async function ensureMeshNetwork(
  engine: Engine,
  identity: MeshIdentity,
  reserved: readonly string[] = [],
): Promise<MeshNetwork> {
  const name = meshNetworkName(identity.mesh);
  const existing = await findOurs(engine, name, identity);
  if (existing !== null) return toMeshNetwork(existing);
  const taken = [...reserved, ...(await takenSubnets(engine))];
  for (let attempt = 0; attempt < subnetAttemptsMax; attempt++) {
    const subnet = chooseSubnet(taken, preferredSubnet(identity.mesh));
    if (subnet === null) break;
    const pool = { Subnet: subnet, IPRange: lowerHalf(subnet), Gateway: firstAddress(subnet) };
    try {
      await createNetwork(engine, identity, name, { Internal: true, IPAM: { Driver: "default", Config: [pool] } });
      const created = await findOurs(engine, name, identity);
      if (created !== null) return toMeshNetwork(created);
    } catch (error) {
      if (isStatus(error, 409)) continue; // Made by somebody in the meantime: look again.
      if (!(error instanceof EngineError) || !/overlap|conflict/i.test(error.message)) throw error;
      taken.push(subnet);
    }
  }
  throw noFreeSubnet(name);
}

/**
 * The network that `ensureMeshNetwork` would find or create now, without creating it: one that is not there has an id that no network has. Throws Problem DM0405 as
 * that one does.
 */
export async function foreseenMeshNetwork(
  engine: Engine,
  identity: MeshIdentity,
  reserved: readonly string[] = [],
): Promise<MeshNetwork> {
  const name = meshNetworkName(identity.mesh);
  const existing = await findOurs(engine, name, identity);
  if (existing !== null) return toMeshNetwork(existing);
  const subnet = chooseSubnet([...reserved, ...(await takenSubnets(engine))], preferredSubnet(identity.mesh));
  if (subnet === null) throw noFreeSubnet(name);
  return { id: `new:${name}`, name, subnet, gateway: firstAddress(subnet) };
}

/** What the engine has. */
export async function listNetworks(engine: Engine): Promise<ReadonlyMap<string, NetworkFacts>> {
  const list = asArray(await engine.call({ method: "GET", path: "/networks" })).map(readNetwork);
  return new Map(list.map((network) => [network.id, network]));
}

function noFreeSubnet(name: string): Problem {
  return new Problem(
    "DM0001",
    `no free subnet for the network ${name}`,
    "docker network prune removes unused networks",
  );
}

/** Finds or creates the bridge that carries gateways' published ports. Its id. */
export async function ensureGatewayNetwork(engine: Engine, identity: MeshIdentity): Promise<string> {
  const name = gatewayNetworkName(identity.mesh);
  const existing = await findOurs(engine, name, identity);
  if (existing !== null) return existing.id;
  try {
    await createNetwork(engine, identity, name, {});
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
  }
  const created = await findOurs(engine, name, identity);
  if (created === null) throw new Error(`the network ${name} vanished while it was made`);
  return created.id;
}

/** Works on stopped and paused containers too. One that is connected already is fine. */
export async function connectContainer(engine: Engine, networkId: string, containerId: string): Promise<void> {
  const body = { Container: containerId };
  try {
    await engine.call({ method: "POST", path: `${network(networkId)}/connect`, body, timeoutMs: changeTimeoutMs });
  } catch (error) {
    const isThere = isStatus(error, 400, 403, 409, 500) && /already (exists|attached|connected)/.test(String(error));
    if (!isThere) throw error;
  }
}

/** One that is not connected, or gone, is fine. */
export async function disconnectContainer(engine: Engine, networkId: string, containerId: string): Promise<void> {
  const body = { Container: containerId, Force: true };
  try {
    await engine.call({ method: "POST", path: `${network(networkId)}/disconnect`, body, timeoutMs: changeTimeoutMs });
  } catch (error) {
    const isGone = isStatus(error, 404) || (isStatus(error, 400, 403, 500) && /is not connected/.test(String(error)));
    if (!isGone) throw error;
  }
}

/**
 * Ids of the containers on a network: the stopped ones too, which Docker's own inspect of it leaves out. By name as well,
 * since one that was connected while it was stopped knows only the name until it starts (measured).
 */
export async function listConnected(engine: Engine, { id, name }: { id: string; name: string }): Promise<string[]> {
  return listContainerIds(engine, { network: [id, name] });
}

/** Null when it is gone. */
export async function inspectNetwork(engine: Engine, networkId: string): Promise<NetworkFacts | null> {
  try {
    return readNetwork(await engine.call({ method: "GET", path: network(networkId) }));
  } catch (error) {
    if (isStatus(error, 404)) return null;
    throw error;
  }
}

/** One that is gone is fine. Throws EngineError 403 while a container is connected. */
export async function removeNetwork(engine: Engine, networkId: string): Promise<void> {
  try {
    await engine.call({ method: "DELETE", path: network(networkId), timeoutMs: changeTimeoutMs });
  } catch (error) {
    if (!isStatus(error, 404)) throw error;
  }
}

/** Those of this project, also under a name that its mesh had before: two as a rule. */
export async function listOwnNetworks(engine: Engine, identity: MeshIdentity): Promise<NetworkFacts[]> {
  const filters = { label: [`${label.stateId}=${identity.stateId}`] };
  const list = await engine.call({ method: "GET", path: "/networks", query: { filters } });
  return asArray(list).map(readNetwork);
}

async function createNetwork(engine: Engine, identity: MeshIdentity, name: string, more: object): Promise<string> {
  const body = { Name: name, Driver: "bridge", CheckDuplicate: true, Labels: ownLabels(identity), ...more };
  const call = { method: "POST", path: "/networks/create", body, timeoutMs: changeTimeoutMs } as const;
  return asString(asRecord(await engine.call(call)).Id);
}

async function findOurs(engine: Engine, name: string, identity: MeshIdentity): Promise<NetworkFacts | null> {
  // The name filter matches parts of names.
  const list = await engine.call({ method: "GET", path: "/networks", query: { filters: { name: [name] } } });
  const found = asArray(list)
    .map(readNetwork)
    .find((item) => item.name === name);
  if (found === undefined) return null;
  if (isOurs(found.labels, identity)) return found;
  const project = found.labels[label.project];
  const owner = project === undefined ? "something else" : `the mesh of project ${project} in another folder`;
  const hint = "give this mesh another name: (name: in mesh.yaml), or run devmesh down in the other folder";
  throw new Problem("DM0405", `the Docker network ${name} belongs to ${owner}`, hint);
}

async function takenSubnets(engine: Engine): Promise<string[]> {
  const list = asArray(await engine.call({ method: "GET", path: "/networks" }));
  const pools = list.flatMap((item) => asArray(asRecord(asRecord(item).IPAM).Config));
  const subnets = pools.map((pool) => asString(asRecord(pool).Subnet));
  return engine.isLocal ? [...subnets, ...(await hostRoutes())] : subnets;
}

async function hostRoutes(): Promise<string[]> {
  try {
    return parseRoutes(await readFile("/proc/net/route", "utf8"));
  } catch {
    return []; // Not Linux, or hidden: Docker's own check for overlaps remains.
  }
}

/** The same mesh gets the same subnet again wherever it can: an application may have cached an address. */
function preferredSubnet(mesh: string): number {
  return createHash("sha256").update(mesh).digest()[0] ?? 0;
}

function toMeshNetwork({ id, name, subnet, gateway }: NetworkFacts): MeshNetwork {
  return { id, name, subnet, gateway };
}
