// Whose address is whose, from what Docker runs: the names under which connections past the proxies are counted. Pure.
import type { World } from "../docker/world.ts";
import type { Party } from "./bypass-ledger.ts";

const host: Party = { service: "host", container: "" };

/** `serviceOf` by container's id: the mesh's own name for it, where it has one. Containers come after gateways, and win. */
export function addressOwners(world: World, serviceOf: ReadonlyMap<string, string>): [address: string, owner: Party][] {
  const attachments = world.containers.flatMap((container) => {
    const owner: Party = { service: serviceOf.get(container.id) ?? container.service, container: container.name };
    return container.networks.map((network) => ({ owner, network }));
  });
  return [
    ...attachments.flatMap(({ network }) => [network.gateway, network.ipv6?.gateway ?? ""].map(ownedBy(host))),
    ...(world.mesh === null ? [] : [world.mesh.gateway].map(ownedBy(host))),
    ...attachments.flatMap(({ owner, network }) => [network.address, network.ipv6?.address ?? ""].map(ownedBy(owner))),
  ].filter(([address]) => address !== "");
}

function ownedBy(owner: Party): (address: string) => [string, Party] {
  return (address) => [address, owner];
}
