// Connects the bypass watch to what is in force, to the World and to the sidecars' namespaces.
import { bypassBytesMax, bypassCommand } from "../proxy/contract/bypass.ts";
import { BypassWatch } from "./bypass-watch.ts";
import type { Applied } from "./control-plane.ts";
import { countedNamespaces, servicesOf } from "./counted-namespaces.ts";
import type { Engine } from "./docker/engine.ts";
import { runExec } from "./docker/run-exec.ts";
import type { World } from "./docker/world.ts";
import { addressOwners } from "./telemetry/address-owners.ts";
import { BypassLedger } from "./telemetry/bypass-ledger.ts";

export interface BypassGround {
  readonly docker: { readonly engine: Engine };
  readonly world: { snapshot(): World };
}

/** `applied`: what is in force, null before the first round. */
export function openBypassWatch(
  { docker, world }: BypassGround,
  { applied, onChange }: { applied(): Applied | null; onChange(): void },
): BypassWatch {
  const compiled = () => applied()?.compiled ?? null;
  // The proxy has no capability left to read its own rules with.
  const options = { command: bypassCommand, user: "0:0", outputBytesMax: bypassBytesMax };
  return new BypassWatch({
    ledger: new BypassLedger(),
    read: (ownId, timeoutMs) => runExec(docker.engine, ownId, { ...options, timeoutMs }),
    namespaces: () => countedNamespaces(world.snapshot(), compiled()),
    owners: () => addressOwners(world.snapshot(), servicesOf(compiled())),
    now: () => performance.now(),
    onChange,
  });
}
