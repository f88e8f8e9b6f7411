// Who may call this workload: mTLS mode, isolation between networks, allow rules. Pure; deny is the default on every doubt.
import { isIP } from "node:net";
import type { AllowConfig, InboundConfig, MtlsMode, NodeConfig, PortConfig } from "../contract/config.ts";
import { type Failure, failure } from "../http/failure.ts";
import { pathOf } from "./route-match.ts";
import { isInOneOf, parseSubnets, type Subnet } from "./subnets.ts";

export interface Acceptance {
  readonly service: string;
  readonly mtls: MtlsMode;
  readonly ports: ReadonlyMap<number, PortConfig>;
  readonly publishedPorts: ReadonlySet<number>;
  readonly gateways: ReadonlySet<string>;
  readonly subnets: readonly Subnet[];
  readonly callers: ReadonlySet<string>;
  /** Who may come to which ports although it is none of `callers`: by way of the host. */
  readonly viaHost: { readonly ports: ReadonlySet<number>; readonly callers: ReadonlySet<string> };
  readonly allow: readonly AllowConfig[] | null;
}

export interface Call {
  /** SPIFFE identity proved by mTLS, or null for plaintext. */
  readonly identity: string | null;
  readonly address: string;
  /** The application's port. */
  readonly port: number;
  /** Null for a TCP connection. */
  readonly http: { readonly method: string; readonly target: string } | null;
}

export function buildAcceptance(node: NodeConfig, inbound: InboundConfig): Acceptance {
  return {
    service: node.service,
    mtls: inbound.mtls,
    ports: new Map(inbound.ports.map((port) => [port.number, port])),
    publishedPorts: new Set(inbound.publishedPorts),
    gateways: new Set(inbound.networks.gateways),
    subnets: parseSubnets(inbound.networks.subnets),
    callers: new Set(inbound.callers),
    viaHost: { ports: new Set(inbound.viaHost?.ports), callers: new Set(inbound.viaHost?.callers) },
    allow: inbound.allow,
  };
}

/**
 * May this connection be read at all? Asked before its first byte, for plaintext and for mTLS peers alike.
 * Null: yes.
 */
export function admit(acceptance: Acceptance, call: Omit<Call, "http">): Failure | null {
  const { service, viaHost } = acceptance;
  if (call.identity !== null) {
    if (acceptance.callers.has(call.identity)) return null;
    if (viaHost.ports.has(call.port) && viaHost.callers.has(call.identity)) return null;
    return denied(
      `${service} shares no network with ${shortName(call.identity)}, and no allow rule of ${service} names it`,
    );
  }
  if (isOutside(acceptance, call) || acceptance.mtls !== "strict") return null;
  return denied(
    `${service} takes only mutual TLS (mtls: strict), and this call from ${call.address} to port ${call.port} is plaintext from outside the mesh`,
  );
}

/** May this request (or TCP connection) pass? The connection was admitted before. Null: yes. */
export function authorize(acceptance: Acceptance, call: Call): Failure | null {
  const { allow, service } = acceptance;
  if (allow === null) return null;
  const principal = call.identity ?? (isOutside(acceptance, call) ? "outside" : null);
  for (const rule of allow) if (ruleAllows(rule, principal, call.http)) return null;
  const caller = principal === null ? `a caller without identity (${call.address})` : shortName(principal);
  const what = call.http === null ? `connect to port ${call.port}` : `${call.http.method} ${pathOf(call.http.target)}`;
  return denied(`${service} does not allow ${caller} to ${what}; ${rulesInWords(service, allow)}`);
}

/**
 * Plaintext to a published port, from an address that no container on the workload's networks can hold: the gateway of
 * one of them (the host, neighbours by a published port) or one beyond them all (the LAN). Decided by subnet and not by
 * a list of containers, so that a container that has just started is never mistaken for the outside.
 */
export function isOutside(acceptance: Acceptance, call: Omit<Call, "http">): boolean {
  if (!acceptance.publishedPorts.has(call.port) || isIP(call.address) === 0) return false;
  if (acceptance.gateways.has(call.address)) return true;
  return !isInOneOf(acceptance.subnets, call.address) && !isInOneOf(linkLocal, call.address);
}

/** Addresses that every host on a link gives itself: who calls with one is on one of the workload's networks. */
const linkLocal = parseSubnets(["fe80::/10"]);

function ruleAllows(rule: AllowConfig, principal: string | null, http: Call["http"]): boolean {
  if (!rule.from.some((from) => from === "*" || (principal !== null && from === principal))) return false;
  if (rule.methods.length === 0 && rule.paths.length === 0) return true;
  if (http === null) return false;
  if (rule.methods.length > 0 && !rule.methods.includes(http.method)) return false;
  if (rule.paths.length === 0) return true;
  const path = pathOf(http.target);
  // "/charge/../admin" is another path to the application than to a prefix match, so it fits no path rule at all. The same
  // goes for "/charge/..;x/admin": Java's servlet containers cut path parameters off before they resolve the dots.
  return !dotSegment.test(path) && rule.paths.some((pattern) => pathFits(pattern, path));
}

const dotSegment = /(?:^|\/)(?:\.|%2e){1,2}(?:[/;]|%3b|$)|%2f|%5c|\\/i;

/** Istio's four forms: exact, `prefix*`, `*suffix`, `*` (non-empty). */
export function pathFits(pattern: string, path: string): boolean {
  if (pattern === "*") return path !== "";
  if (pattern.endsWith("*")) return path.startsWith(pattern.slice(0, -1));
  if (pattern.startsWith("*")) return path.endsWith(pattern.slice(1));
  return pattern === path;
}

function rulesInWords(service: string, allow: readonly AllowConfig[]): string {
  if (allow.length === 0) return `its allow list is empty, so nobody may call ${service}`;
  const words = allow.slice(0, 4).map((rule) => {
    const from = rule.from.map(shortName).join(", ");
    return [from, rule.methods.join("|"), rule.paths.join(" ")].filter((part) => part !== "").join(" ");
  });
  return `it allows: ${words.join("; ")}${allow.length > 4 ? "; ..." : ""}`;
}

function denied(reason: string): Failure {
  return failure("-", 403, "rbac_access_denied_matched_policy[none]", reason);
}

/** spiffe://cluster.local/ns/shop/sa/cart -> cart */
export function shortName(identity: string): string {
  const slash = identity.lastIndexOf("/");
  return identity.startsWith("spiffe://") ? identity.slice(slash + 1) : identity;
}
