// Which containers of a service take traffic now.
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
  return service.workloads
    .filter((workload) => takesTraffic(workload) && readySidecars.has(workload.container.id))
    .map((workload): EndpointConfig => {
      const { container, version, meshAddress } = workload;
      const addresses = container.networks.map(({ address }) => address);
      return {
        id: container.id,
        workload: container.name,
        version,
        subsets: subsets.of(workload),
        address: meshAddress,
        aliases: [...new Set(addresses.filter((address) => address !== "" && address !== meshAddress))].sort(),
      };
    });
}

function takesTraffic({ container, meshAddress }: Workload): boolean {
  return container.state === "running" && !container.isOneOff && meshAddress !== "" && isHealthy(container);
}

/** With a health check only `healthy` counts: "starting" is not there yet, and callers get UH with a reason meanwhile. */
function isHealthy({ hasHealthcheck, health }: Container): boolean {
  return !hasHealthcheck || health === "healthy";
}
