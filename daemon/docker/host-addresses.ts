// The addresses at which containers find the host: Docker's bridges have one each, and the machine has its own.
import { networkInterfaces } from "node:os";
import type { NetworkFacts } from "./read-container.ts";
import { firstAddress } from "./subnet.ts";

/** What `host-gateway` in compose's `extra_hosts` means. */
const defaultBridge = "bridge";

/** Addresses of this machine, without loopback and those of the link. Empty where the engine is elsewhere. */
export function machineAddresses({ isLocal }: { readonly isLocal: boolean }): readonly string[] {
  if (!isLocal) return [];
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all
    .filter(({ internal, address }) => !internal && !/^(?:fe80:|169\.254\.)/i.test(address))
    .map(({ address }) => address);
}

/**
 * Those of the machine, of the default bridge, and of the networks that `attached` names by id. Bridges of other projects are left out:
 * they come and go, and each time every proxy would have to be told.
 */
export function hostAddressesOf(
  networks: Iterable<NetworkFacts>,
  machine: readonly string[],
  attached: ReadonlySet<string>,
): readonly string[] {
  const own: string[] = [];
  const others = new Set<string>();
  for (const network of networks) {
    if (network.driver !== "bridge") continue;
    const isOurs = network.name === defaultBridge || attached.has(network.id);
    for (const gateway of gatewaysOf(network))
      if (isOurs) own.push(gateway);
      else others.add(gateway);
  }
  return [...new Set([...own, ...machine.filter((address) => !others.has(address))])].sort();
}

/** The default bridge does not tell its own. */
function gatewaysOf({ subnet, gateway, ipv6 }: NetworkFacts): readonly string[] {
  const first = subnet === "" ? "" : firstAddress(subnet);
  return [gateway || first, ipv6?.gateway ?? ""].filter((address) => address !== "");
}
