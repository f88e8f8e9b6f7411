// Which namespaces are to be counted, and under which names: the World seen by the bypass watch. Pure.
import type { CountedNamespace } from "./bypass-watch.ts";
import type { Compiled } from "./compile/compile.ts";
import type { World } from "./docker/world.ts";
import type { Party } from "./telemetry/bypass-ledger.ts";

/** Null: nothing is in force yet. */
type Places = Pick<Compiled, "services" | "sidecars" | "unmeshed"> | null;

/** The mesh's name for each container's service. */
export function servicesOf(compiled: Places): ReadonlyMap<string, string> {
  const { services, unmeshed } = compiled ?? { services: [], unmeshed: [] };
  return new Map([
    ...unmeshed.map(({ containerId, service }) => [containerId, service] as const),
    ...services.flatMap(({ name, workloads }) => workloads.map(({ containerId }) => [containerId, name] as const)),
  ]);
}

/** Every sidecar that runs, and every container that wants one and has none. */
export function countedNamespaces(world: World, compiled: Places): CountedNamespace[] {
  const names = servicesOf(compiled);
  const containers = new Map(world.containers.map((container) => [container.id, container]));
  const wanted = new Map(
    (compiled?.sidecars ?? []).map((sidecar) => [keyOf(sidecar.containerId, sidecar.startedAt), sidecar]),
  );
  const running = world.own.filter(({ kind, state }) => kind === "sidecar" && state === "running");
  const counted = running.map((own): CountedNamespace => {
    const key = keyOf(own.owner, own.ownerStartedAt);
    const container = containers.get(own.owner);
    const name = container?.name ?? own.name.replace(/^devmesh-/, "");
    const owner: Party = { service: names.get(own.owner) ?? container?.service ?? name, container: name };
    return { key, ownId: own.id, isWanted: wanted.has(key), owner };
  });
  const seen = new Set(counted.map(({ key }) => key));
  const alone = [...wanted].filter(([key]) => !seen.has(key));
  return [
    ...counted,
    ...alone.map(([key, { container, service }]) => ({
      key,
      ownId: null,
      isWanted: true,
      owner: { service, container },
    })),
  ];
}

function keyOf(containerId: string, startedAt: string): string {
  return `${containerId}@${startedAt}`;
}
