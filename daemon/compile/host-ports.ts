// Ports of the host that lead to services of the mesh, since compose publishes them: a call to one is a call to that service.
import type { HostConfig, InboundConfig } from "../../proxy/contract/config.ts";
import type { Container, World } from "../docker/world.ts";
import { type Catalog, isAlive, type Service, type Workload } from "./model.ts";
import { ownComposeServices } from "./names.ts";
import { compareText } from "./problems.ts";

/** Null: nothing is published where a container could reach it. */
export function hostPortsOf(catalog: Catalog, { mesh, hostAddresses }: World): HostConfig | null {
  const ports = new Map<string, HostConfig["ports"][number]>();
  for (const service of catalog.services.values()) {
    for (const { container, version } of service.workloads) {
      if (!isAlive(container) || container.isOneOff) continue;
      const named = isOneVersion(service, version) ? version : null;
      for (const { hostIp, hostPort, containerPort } of reachable(container)) {
        const to = { service: service.name, version: named, servicePort: containerPort };
        ports.set(`${hostIp} ${hostPort}`, { address: hostIp, port: hostPort, ...to });
      }
    }
  }
  if (ports.size === 0) return null;
  // Nothing but mutual TLS passes in the mesh's own network: its gateway is nobody's way to the host.
  const addresses = hostAddresses.filter((address) => address !== mesh?.gateway);
  return { addresses, ports: [...ports].sort(([a], [b]) => compareText(a, b)).map(([, port]) => port) };
}

/**
 * A container that is on internal networks alone has no way to what the host publishes: Docker drops its packets (measured). Nor has one
 * whose networks are not known yet.
 */
export function reachesHost({ container, networks }: Workload): boolean {
  const own = container.networks.filter(({ networkId }) => networks.has(networkId));
  return own.some(({ isInternal, subnet }) => !isInternal && subnet !== "");
}

/** Services of which a container reaches the host. */
export function hostCallersOf(catalog: Catalog): readonly string[] {
  return [...new Set(catalog.workloads.filter(reachesHost).map(({ service }) => service))].sort(compareText);
}

/**
 * Who shares no network with a service could always reach its published ports by way of the host, so it still can, with its
 * identity. Null: nothing of it is published.
 */
export function viaHostOf(service: Service, callers: readonly string[]): InboundConfig["viaHost"] | null {
  const lasting = service.workloads.filter(({ container }) => !container.isOneOff);
  const published = lasting.flatMap(({ container }) => reachable(container));
  const ports = [...new Set(published.map(({ containerPort }) => containerPort))].sort((a, b) => a - b);
  return ports.length === 0 ? null : { ports, callers };
}

/** What is published on the host's loopback alone no container could ever reach. */
function reachable({ published }: Container): Container["published"] {
  return published.filter(({ hostIp }) => !hostIp.startsWith("127.") && hostIp !== "::1");
}

/** A compose service that is one version of a service means that version, at its ports as by its name. */
function isOneVersion(service: Service, version: string | null): boolean {
  return ownComposeServices(service).some((own) => own.version === version);
}
