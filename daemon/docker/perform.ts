// Carries out one action. Each may be done twice: what is so already is fine.
import { Problem } from "../api/problem.ts";
import { removeContainer, startContainer, terminateContainer } from "./containers.ts";
import { createOwn, type PerformContext } from "./create-own.ts";
import { type Engine, EngineError } from "./engine.ts";
import { leaveNetwork } from "./leave-network.ts";
import { connectContainer, ensureGatewayNetwork, ensureMeshNetwork } from "./network.ts";
import { runOneShot } from "./one-shot.ts";
import { gatewaySpec, sidecarSpec } from "./own-spec.ts";
import type { Action } from "./plan.ts";
import { describePortHolder } from "./port-holder.ts";

/** The ids of containers whose facts changed. Throws EngineError or Problem. */
export async function performAction(context: PerformContext, action: Action): Promise<string[]> {
  const { engine, identity } = context;
  switch (action.kind) {
    case "ensure-network":
      await ensureMeshNetwork(engine, identity, context.reservedSubnets);
      return [];
    case "connect":
      await connectContainer(engine, action.networkId, action.containerId);
      return [action.containerId];
    case "disconnect":
      await leaveNetwork(context, action.containerId, action.networkId);
      return [action.containerId];
    case "create-sidecar":
      return attachSidecar(context, action);
    case "create-gateway":
      return [await openGateway(context, action)];
    case "start-own":
      await startOwn(engine, action.ownId, action.key);
      return [action.ownId];
    case "remove-own":
      await context.beforeRemoval?.(action.ownId);
      if (action.graceMs > 0) await terminateContainer(engine, action.ownId, action.graceMs);
      await removeContainer(engine, action.ownId);
      return [action.ownId];
    case "remove-rules":
    case "clean-hosts":
      return [await runOneShot(context, action)];
  }
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1));
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
    throw new Problem(
      "DM0401",
      `the host port ${address} is in use${await describePortHolder(engine, portOf(address))}`,
      hint,
    );
  }
}
