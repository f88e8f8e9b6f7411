// Carries out one action. Each may be done twice: what is so already is fine.
import { Problem } from "../api/problem.ts";
import {
  createContainer,
  inspectContainer,
  removeContainer,
  startContainer,
  terminateContainer,
  waitContainer,
} from "./containers.ts";
import { type Engine, EngineError, isStatus } from "./engine.ts";
import { asRecord, asString } from "./json.ts";
import { isOurs } from "./labels.ts";
import { readLogTail } from "./logs.ts";
import { connectContainer, disconnectContainer, ensureGatewayNetwork, ensureMeshNetwork } from "./network.ts";
import { gatewaySpec, type OneShot, type OwnSpec, oneShotSpec, type SpecContext, sidecarSpec } from "./own-spec.ts";
import type { Action } from "./plan.ts";
import { readLabels } from "./read-container.ts";

/** A one-shot runs nft or edits one file. */
const oneShotTimeoutMs = 15_000;

export interface PerformContext extends SpecContext {
  readonly engine: Engine;
}

/** The ids of containers whose facts changed. Throws EngineError or Problem. */
export async function performAction(context: PerformContext, action: Action): Promise<string[]> {
  const { engine, identity } = context;
  switch (action.kind) {
    case "ensure-network":
      await ensureMeshNetwork(engine, identity);
      return [];
    case "connect":
      await connectContainer(engine, action.networkId, action.containerId);
      return [action.containerId];
    case "disconnect":
      await disconnectContainer(engine, action.networkId, action.containerId);
      return [action.containerId];
    case "create-sidecar":
      return attachSidecar(context, action);
    case "create-gateway":
      return [await openGateway(context, action)];
    case "start-own":
      await startOwn(engine, action.ownId, action.key);
      return [action.ownId];
    case "remove-own":
      if (action.graceMs > 0) await terminateContainer(engine, action.ownId, action.graceMs);
      await removeContainer(engine, action.ownId);
      return [action.ownId];
    case "remove-rules":
    case "clean-hosts":
      return [await runOneShot(context, action)];
  }
}

/** Runs it to its end and removes it. Throws with its last words when it fails. Its id. */
export async function runOneShot(context: PerformContext, oneShot: OneShot): Promise<string> {
  const { engine } = context;
  const id = await createOwn(context, oneShotSpec(context, oneShot));
  try {
    await startContainer(engine, id);
    const code = await waitContainer(engine, id, "not-running", oneShotTimeoutMs);
    if (code !== 0) throw new Error(`${oneShot.kind} ended with ${code}: ${await readLogTail(engine, id)}`);
    return id;
  } finally {
    await removeContainer(engine, id);
  }
}

/** Connecting takes as long as creating, and neither needs the other: every start of a service waits for both. */
async function attachSidecar(
  context: PerformContext,
  { sidecar, mesh, connects }: Extract<Action, { kind: "create-sidecar" }>,
): Promise<string[]> {
  const { engine } = context;
  const { containerId } = sidecar;
  const connecting = connects ? connectContainer(engine, mesh.id, containerId) : null;
  const creating = createOwn(context, sidecarSpec(context, sidecar, mesh));
  // Both have ended before the first error counts: a retry must not run into them.
  const [created, connected] = await Promise.allSettled([creating, connecting]);
  if (connected.status === "rejected") throw connected.reason;
  if (created.status === "rejected") throw created.reason;
  await startContainer(engine, created.value);
  return [containerId, created.value];
}

async function openGateway(
  context: PerformContext,
  { gateway, mesh }: Extract<Action, { kind: "create-gateway" }>,
): Promise<string> {
  const { engine, identity } = context;
  await ensureGatewayNetwork(engine, identity);
  const ownId = await createOwn(context, gatewaySpec(context, gateway, mesh));
  await connectContainer(engine, mesh.id, ownId);
  await startOwn(engine, ownId, gateway.key);
  return ownId;
}

async function startOwn(engine: Engine, ownId: string, listener: string): Promise<void> {
  try {
    await startContainer(engine, ownId);
  } catch (error) {
    const isBusy = /port is already allocated|address already in use|ports are not available/i.test(String(error));
    if (!(error instanceof EngineError) || !isBusy) throw error;
    const address = listener.replace(/^gateway\//, "");
    const hint = "stop what listens there, or choose another port in mesh.yaml's gateway:";
    throw new Problem("DM0401", `the host port ${address} is in use`, hint);
  }
}

/** A container of ours that has the name already is one that an earlier attempt left: it is replaced. */
async function createOwn({ engine, identity }: PerformContext, { name, body }: OwnSpec): Promise<string> {
  try {
    return await createContainer(engine, name, body);
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
    const existing = await inspectContainer(engine, name);
    if (existing !== null) {
      if (!isOurs(readLabels(existing), identity)) {
        throw new Error(`a container named ${name} is there already, and this mesh did not make it`);
      }
      await removeContainer(engine, asString(asRecord(existing).Id));
    }
    return await createContainer(engine, name, body);
  }
}
