// Ports of the host that mean a service of the mesh, by the address and port that an application dials.
import type { HostConfig } from "../contract/config.ts";
import type { Binding, Service } from "./table.ts";

export interface HostPort {
  readonly binding: Binding;
  /** The container's. */
  readonly port: number;
}

export type HostPorts = (address: string, port: number) => HostPort | null;

/** Docker publishes at one address of the host, or at all of one family. */
export function hostPortsOf(host: HostConfig | undefined, services: ReadonlyMap<string, Service>): HostPorts {
  const addresses = new Set(host?.addresses);
  const ports = new Map<string, HostPort>();
  for (const { address, port, version, servicePort, ...to } of host?.ports ?? []) {
    const service = services.get(to.service);
    if (service === undefined) continue;
    ports.set(`${address} ${port}`, { binding: { service, version, endpointId: null }, port: servicePort });
  }
  return (address, port) => {
    const everywhere = address.includes(":") ? "::" : "0.0.0.0";
    return (
      ports.get(`${address} ${port}`) ?? (addresses.has(address) ? ports.get(`${everywhere} ${port}`) : null) ?? null
    );
  };
}
