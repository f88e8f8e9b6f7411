// Which containers of a service are there, and which of them take traffic now.
import type { EndpointConfig } from "../../proxy/contract/config.ts";
import type { Container } from "../docker/world.ts";
import { addressesOf, type Service, type Workload } from "./model.ts";
import type { Subsets } from "./subsets.ts";

/** In order of name. Replicas are equals: weights are between subsets, so their number never dilutes a weight. */
export function endpointsOf(
  service: Service,
  subsets: Subsets,
  readySidecars: ReadonlySet<string>,
): readonly EndpointConfig[] {
  const endpoints = service.workloads.filter(isThere).map((workload): EndpointConfig => {
    const { container, version, meshAddress } = workload;
    const addresses = container.networks.flatMap(addressesOf);
    return {
      id: container.id,
      startedAt: container.startedAt,
      isBalanced: container.state === "running" && readySidecars.has(container.id),
      workload: container.name,
      version,
      subsets: subsets.of(workload),
      address: meshAddress,
      aliases: [...new Set(addresses.filter((address) => address !== meshAddress))].sort(),
    };
  });
  const avoided = service.workloads.filter(({ container }) => container.isStopping || !isHealthy(container));
  return avoided.length === 0 ? endpoints : avoiding(endpoints, new Set(avoided.map(({ container: { id } }) => id)));
}

/**
 * A container that was told to stop finishes what it has and gets nothing new, and one that is not healthy (yet) gets nothing, as long
 * as every call that they could get has another container to go to. Where they are the last ones they go on: it may well
 * answer, and without the mesh it would be called too. (A restarted database is not called healthy before its next probe, by
 * default 30 s later.)
 */
function avoiding(endpoints: readonly EndpointConfig[], avoided: ReadonlySet<string>): readonly EndpointConfig[] {
  const staying = endpoints.filter(({ id, isBalanced }) => isBalanced && !avoided.has(id));
  const isReplaced = ({ version, subsets }: EndpointConfig) =>
    staying.some((other) => other.version === version) &&
    subsets.every((subset) => staying.some((other) => other.subsets.includes(subset)));
  return endpoints.map((endpoint) =>
    avoided.has(endpoint.id) && isReplaced(endpoint) ? { ...endpoint, isBalanced: false } : endpoint,
  );
}

/** A paused container may go on, and an unready one may finish what it has: only one that has ended is gone. */
function isThere({ container, meshAddress }: Workload): boolean {
  return (container.state === "running" || container.state === "paused") && !container.isOneOff && meshAddress !== "";
}

/** With a health check only `healthy` counts: "starting" is not there yet. */
function isHealthy({ hasHealthcheck, health }: Container): boolean {
  return !hasHealthcheck || health === "healthy";
}
