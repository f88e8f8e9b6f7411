// SPIFFE identities, as DESIGN section 2 has them: one per service, and one for all gateways of the mesh.

export interface TrustPlace {
  readonly trustDomain: string;
  /** The mesh's name. */
  readonly namespace: string;
}

/** spiffe://<trust domain>/ns/<namespace>/sa/<service> */
export function identityOf({ trustDomain, namespace }: TrustPlace, service: string): string {
  return `spiffe://${trustDomain}/ns/${namespace}/sa/${service}`;
}

/**
 * The gateways' service name. "gateway" is also a usual name for a compose service: that one then keeps its name, since
 * two workloads of different trust must never share an identity.
 */
export function gatewayName(services: { has(name: string): boolean }): string {
  let name = "gateway";
  while (services.has(name)) name = `devmesh-${name}`;
  return name;
}
