// What a doctor that was killed has left on the engine. Whose a pair is stands in its labels.
import { hostname } from "node:os";
import { probeLifeMs } from "../../proxy/contract/probe.ts";
import { isAlive, startTimeOf } from "../api/lock.ts";
import { removeContainer } from "../docker/containers.ts";
import type { Engine } from "../docker/engine.ts";
import { asArray, asRecord, asString, asTexts } from "../docker/json.ts";
import { type Labels, label, type MeshIdentity } from "../docker/labels.ts";
import { removeNetwork } from "../docker/network.ts";

/** Names of what a doctor makes begin with it, as those of a mesh do with its name. */
const prefix = "doctor-";
/** Beyond the life of a probe: then whoever made it is done, wherever it ran. */
const ageMsMax = 2 * probeLifeMs;

export function doctorIdentity(): MeshIdentity {
  const who = { host: hostname(), pid: process.pid, startTime: startTimeOf(process.pid) };
  return { mesh: `${prefix}${process.pid}`, project: "doctor", stateId: JSON.stringify(who) };
}

/** Made by a process of this machine that is gone, or so old that its maker is done. Pure but for looking at processes. */
export function isLeftover(labels: Labels, ageMs: number, here = hostname()): boolean {
  const maker = makerOf(labels);
  if (maker === null) return false;
  return ageMs > ageMsMax || (maker.host === here && !isAlive(maker));
}

/** Null for everything that no doctor made: a mesh may be called as it likes, its state id is 12 hex digits. */
function makerOf(labels: Labels): { readonly host: string; pid: number; startTime: string | null } | null {
  if (labels[label.mesh]?.startsWith(prefix) !== true) return null;
  try {
    const { host, pid, startTime } = asRecord(JSON.parse(labels[label.stateId] ?? ""));
    const isMaker = typeof host === "string" && typeof pid === "number";
    if (!isMaker || (typeof startTime !== "string" && startTime !== null)) return null;
    return { host, pid, startTime };
  } catch {
    return null;
  }
}

/** How many containers and networks were removed. `nowMs` by the engine's clock. Throws EngineError. */
export async function removeLeftovers(engine: Engine, nowMs: number): Promise<number> {
  const query = { filters: { label: [label.mesh] } };
  const containers = asArray(
    await engine.call({ method: "GET", path: "/containers/json", query: { all: true, ...query } }),
  ).map(asRecord);
  const networks = asArray(await engine.call({ method: "GET", path: "/networks", query })).map(asRecord);
  const old = containers.filter(({ Labels, Created }) => isLeftover(asTexts(Labels), nowMs - Number(Created) * 1000));
  const oldNetworks = networks.filter(({ Labels, Created }) =>
    isLeftover(asTexts(Labels), nowMs - Date.parse(asString(Created))),
  );
  await Promise.all(old.map(({ Id }) => removeContainer(engine, asString(Id))));
  await Promise.all(oldNetworks.map(({ Id }) => removeNetwork(engine, asString(Id))));
  return old.length + oldNetworks.length;
}
