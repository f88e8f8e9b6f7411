// Which containers get a sidecar, and whether they wait for it before their first instruction.

import type { CaptureOptions } from "../../proxy/contract/capture-options.ts";
import type { Spec } from "../spec/spec.ts";
import { type CompileInput, isAlive, type Workload } from "./model.ts";

export interface DesiredSidecar {
  readonly containerId: string;
  readonly container: string;
  /** Changes with every start: a sidecar of an earlier one sits in a dead network namespace. */
  readonly startedAt: string;
  readonly service: string;
  readonly version: string | null;
  /** Pause it at its start until the sidecar is ready. */
  readonly hold: boolean;
  readonly holdReason: string;
  /** What the user should know about this container, or null. */
  readonly warning: string | null;
  /** What of its traffic is captured; empty: all. A sidecar is replaced when this changes. */
  readonly options: CaptureOptions;
}

const unbound = "it is privileged or has NET_ADMIN, so it can undo the mesh's rules";

/** One for every container that runs or is paused, one-offs included; the others have no network namespace to join. */
export function sidecarsOf(
  workloads: readonly Workload[],
  { spec, jobs }: Pick<CompileInput, "spec" | "jobs">,
): readonly DesiredSidecar[] {
  return workloads
    .filter(({ container }) => isAlive(container))
    .map(({ container, service, version, capture }) => ({
      containerId: container.id,
      container: container.name,
      startedAt: container.startedAt,
      service,
      version,
      ...holdOf(container, spec),
      warning: container.isPrivileged ? unbound : null,
      options: isJob(container, jobs) ? { ...capture, startedAt: container.startedAt } : capture,
    }));
}

/**
 * It calls others at once, and nobody starts it again when that fails. Not on the default bridge: without Docker's own rules
 * for its resolver nobody could say who opened a connection.
 */
function isJob({ isOneOff, service, networkMode }: Workload["container"], jobs: CompileInput["jobs"]): boolean {
  return networkMode !== "bridge" && (isOneOff || jobs?.has(service) === true);
}

function holdOf({ hasHealthcheck }: Workload["container"], spec: Spec): { hold: boolean; holdReason: string } {
  if (!spec.hold) return { hold: false, holdReason: "hold: false; the guard resets what is early" };
  if (!hasHealthcheck) return { hold: true, holdReason: "paused at its start until its sidecar is ready" };
  const holdReason = "it has a health check, which a pause would fail; the guard resets what is early";
  return { hold: false, holdReason };
}
