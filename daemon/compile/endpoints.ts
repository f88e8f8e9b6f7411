// Which containers of a service are there, and which of them take traffic now.
import type { EndpointConfig } from "../../proxy/contract/config.ts";
import type { Container } from "../docker/world.ts";
import type { Service, Workload } from "./model.ts";
import type { Subsets } from "./subsets.ts";

/** In order of name. Replicas are equals: weights are between subsets, so their number never dilutes a weight. */
export function endpointsOf(
  service: Service,
  subsets: Subsets,
  readySidecars: ReadonlySet<string>,
): readonly EndpointConfig[] {
  return service.workloads.filter(isThere).map((workload): EndpointConfig => {
    const { container, version, meshAddress } = workload;
    const addresses = container.networks.map(({ address }) => address);
    return {
      id: container.id,
      startedAt: container.startedAt,
      isBalanced: container.state === "running" && isHealthy(container) && readySidecars.has(container.id),
      workload: container.name,
      version,
      subsets: subsets.of(workload),
      address: meshAddress,
      aliases: [...new Set(addresses.filter((address) => address !== "" && address !== meshAddress))].sort(),
    };
  });
}

/** A paused container may go on, and an unready one may finish what it has: only one that has ended is gone. */
function isThere({ container, meshAddress }: Workload): boolean {
  return (container.state === "running" || container.state === "paused") && !container.isOneOff && meshAddress !== "";
}

/** With a health check only `healthy` counts: "starting" is not there yet, and callers get UH with a reason meanwhile. */
function isHealthy({ hasHealthcheck, health }: Container): boolean {
  return !hasHealthcheck || health === "healthy";
}
