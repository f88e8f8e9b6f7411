// Who talks to whom, as Istio labels it: seen from the caller's proxy, and from the receiver's.
import type { NodeConfig } from "../contract/config.ts";
import type { Edge } from "../contract/report.ts";
import type { Peer } from "../http/stream.ts";
import type { Service, Table } from "./table.ts";

/** Istio's name for traffic to addresses that the mesh does not know. */
export const passthroughCluster = "PassthroughCluster";
/** Istio's name for traffic that leads nowhere. */
export const blackHoleCluster = "BlackHoleCluster";

export interface CallTo {
  readonly service: Service | typeof passthroughCluster | typeof blackHoleCluster;
  /** The container that was chosen, or null when none was. */
  readonly workload: string | null;
  readonly version: string | null;
  /** How it was reached. Default: mTLS. */
  readonly security?: "mutual_tls" | "none";
  readonly flags: string;
}

export function sourceEdge(node: NodeConfig, call: CallTo): Edge {
  const { service, workload, version, flags, security = "mutual_tls" } = call;
  const isKnown = typeof service !== "string";
  const isJoined = isKnown && workload !== null;
  return {
    reporter: "source",
    sourceWorkload: node.workload,
    sourceService: node.service,
    sourceVersion: node.version ?? "unknown",
    sourcePrincipal: node.identity,
    destinationWorkload: workload ?? "unknown",
    destinationService: isKnown ? service.config.name : service,
    destinationVersion: version ?? "unknown",
    destinationPrincipal: isJoined && security === "mutual_tls" ? service.config.identity : "unknown",
    security: isJoined ? security : isKnown ? "unknown" : "none",
    flags,
  };
}

/**
 * Who called comes from the peer's certificate alone. Which container it was is told by its address, where nothing that it proved
 * speaks against it: so a plaintext call of a meshed container can be told from one of a stranger.
 */
export function destinationEdge(table: Table, peer: Peer, flags: string): Edge {
  const { node } = table;
  const known = table.byAddress.get(peer.address);
  const endpoint = known?.service.endpoints.find((candidate) => candidate.id === known.endpointId);
  const isKnown =
    endpoint !== undefined && (peer.identity ?? known?.service.config.identity) === known?.service.config.identity;
  return {
    reporter: "destination",
    sourceWorkload: isKnown ? endpoint.workload : "unknown",
    sourceService: peer.identity === null ? "unknown" : peer.identity.slice(peer.identity.lastIndexOf("/") + 1),
    sourceVersion: (isKnown ? endpoint.version : null) ?? "unknown",
    sourcePrincipal: peer.identity ?? "unknown",
    destinationWorkload: node.workload,
    destinationService: node.service,
    destinationVersion: node.version ?? "unknown",
    destinationPrincipal: node.identity,
    security: peer.identity === null ? "none" : "mutual_tls",
    flags,
  };
}
