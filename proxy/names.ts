// The names that the sidecar's resolver answers: services and versions by their virtual addresses, containers by their own.
import type { Table } from "./route/table.ts";

export function resolverNames(table: Table): Map<string, readonly string[]> {
  const names = new Map<string, readonly string[]>(Object.entries(table.node.names));
  for (const { config } of table.services.values()) {
    if (config.address !== "") for (const host of config.hosts) names.set(host, [config.address]);
    for (const { hosts, address } of config.versionHosts) {
      if (address !== "") for (const host of hosts) names.set(host, [address]);
    }
  }
  return names;
}
