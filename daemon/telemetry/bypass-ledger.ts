// Adds up what went past the proxies: counters of namespaces that come and go, under the names of who had the addresses.
import type { BypassCause, BypassCount, BypassCounts } from "../../proxy/contract/bypass.ts";

/** Who is at an end of a connection. Outside of the mesh's containers `container` is "". */
export interface Party {
  readonly service: string;
  readonly container: string;
}

export interface BypassEdge {
  readonly from: string;
  readonly to: string;
  readonly cause: BypassCause | "overflow";
  /** `resolver`: DNS to a server outside, which Docker's resolver sends from the container's own namespace. */
  readonly verdict: "passed" | "cut" | "resolver";
  readonly protocol: string;
  readonly port: number;
  readonly bytes: number;
  readonly connections: number;
}

export const outside: Party = { service: "outside", container: "" };
const unknown: Party = { service: "unknown", container: "" };
const multicast: Party = { service: "multicast", container: "" };

/** Pairs of containers, per protocol and port; further ones are counted as `unknown`. */
const pairsMax = 2048;
/** Addresses whose last owner is remembered; the oldest is forgotten. */
const addressesMax = 4096;

interface Sum {
  readonly bytes: number;
  readonly connections: number;
}

/** Both ends of a connection may count it: each view is kept by itself. */
interface Pair {
  readonly from: Party;
  readonly to: Party;
  readonly protocol: string;
  readonly port: number;
  readonly seenBy: { readonly caller: Map<BypassEdge["cause"], Sum>; readonly callee: Map<BypassEdge["cause"], Sum> };
}

interface Reading {
  readonly generation: number;
  readonly counts: ReadonlyMap<string, BypassCount>;
  readonly overflowBytes: number;
}

export class BypassLedger {
  readonly #pairs = new Map<string, Pair>();
  /** By namespace. */
  readonly #last = new Map<string, Reading>();
  readonly #owners = new Map<string, Party>();

  /** Who has which address now. A container that ends takes its address along, while its counters are still to be read. */
  learn(owners: Iterable<readonly [address: string, owner: Party]>): void {
    for (const [address, owner] of owners) {
      this.#owners.delete(address);
      this.#owners.set(address, owner);
      const [oldest] = this.#owners.keys();
      if (this.#owners.size > addressesMax && oldest !== undefined) this.#owners.delete(oldest);
    }
  }

  /** `namespace` is unique for each start of a container; `owner` is who lives in it. True: something was added. */
  add(namespace: string, owner: Party, { generation, counts, overflow }: BypassCounts): boolean {
    const last = this.#last.get(namespace);
    const before = last?.generation === generation ? last : undefined;
    const now = new Map(counts.map((count) => [keyOf(count), count]));
    this.#last.set(namespace, { generation, counts: now, overflowBytes: overflow.bytes });
    let isMore = false;
    for (const [key, count] of now) {
      const old = before?.counts.get(key);
      const growth = {
        bytes: count.bytes - (old?.bytes ?? 0),
        connections: count.connections - (old?.connections ?? 0),
      };
      if (growth.bytes <= 0 && growth.connections <= 0) continue;
      isMore = true;
      const peer = this.#ownerOf(count.peer);
      const [from, to] = count.opener === "out" ? [owner, peer] : [peer, owner];
      const { cause, protocol, port } = count;
      this.#count(
        { from, to, protocol, port },
        { cause, viewer: count.opener === "out" ? "caller" : "callee", growth },
      );
    }
    const more = overflow.bytes - (before?.overflowBytes ?? 0);
    if (more <= 0) return isMore;
    const lost = { from: owner, to: unknown, protocol: "", port: 0 };
    this.#count(lost, { cause: "overflow", viewer: "caller", growth: { bytes: more, connections: 0 } });
    return true;
  }

  /** The namespace is gone; what it counted stays. */
  forget(namespace: string): void {
    this.#last.delete(namespace);
  }

  /** By services, the most bytes first. Of two views of a pair the larger one counts. */
  edges(): readonly BypassEdge[] {
    const edges = new Map<string, BypassEdge>();
    for (const pair of this.#pairs.values()) {
      for (const isCut of [false, true]) {
        for (const [cause, sum] of largerView(pair, isCut)) {
          const edge = edgeOf(pair, cause, sum);
          const { from, to, verdict, protocol, port } = edge;
          const key = JSON.stringify([from, to, cause, verdict, protocol, port]);
          const same = edges.get(key);
          edges.set(key, same === undefined ? edge : { ...edge, ...plus(same, sum) });
        }
      }
    }
    return [...edges.values()].sort((a, b) => b.bytes - a.bytes || (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));
  }

  #ownerOf(address: string): Party {
    if (isMulticast(address)) return multicast;
    return this.#owners.get(address) ?? outside;
  }

  #count(
    place: Omit<Pair, "seenBy">,
    { cause, viewer, growth }: { cause: BypassEdge["cause"]; viewer: "caller" | "callee"; growth: Sum },
  ): void {
    let pair = this.#pairs.get(pairKey(place));
    if (pair === undefined) {
      const isFull = this.#pairs.size >= pairsMax;
      const folded = isFull ? { ...place, [viewer === "caller" ? "to" : "from"]: unknown, port: 0 } : place;
      pair = this.#pairs.get(pairKey(folded)) ?? { ...folded, seenBy: { caller: new Map(), callee: new Map() } };
      this.#pairs.set(pairKey(folded), pair);
    }
    const sums = pair.seenBy[viewer];
    sums.set(cause, plus(sums.get(cause), growth));
  }
}

function keyOf({ cause, opener, peer, protocol, port }: BypassCount): string {
  return `${cause} ${opener} ${peer} ${protocol} ${port}`;
}

function pairKey({ from, to, protocol, port }: Omit<Pair, "seenBy">): string {
  return JSON.stringify([from.service, from.container, to.service, to.container, protocol, port]);
}

function isCutCause(cause: BypassEdge["cause"]): boolean {
  return cause === "older" || cause === "ipv6" || cause === "refused";
}

function largerView({ seenBy }: Pair, isCut: boolean): [BypassEdge["cause"], Sum][] {
  const of = (view: Map<BypassEdge["cause"], Sum>) => [...view].filter(([cause]) => isCutCause(cause) === isCut);
  const bytes = (view: [BypassEdge["cause"], Sum][]) => view.reduce((sum, [, one]) => sum + one.bytes, 0);
  const [caller, callee] = [of(seenBy.caller), of(seenBy.callee)];
  return bytes(caller) >= bytes(callee) ? caller : callee;
}

function edgeOf({ from, to, protocol, port }: Pair, cause: BypassEdge["cause"], sum: Sum): BypassEdge {
  const isResolver = protocol === "udp" && port === 53 && to.container === "";
  const verdict = isCutCause(cause) ? "cut" : isResolver ? "resolver" : "passed";
  return { from: from.service, to: to.service, cause, verdict, protocol, port, ...sum };
}

function plus(a: Sum | undefined, b: Sum): Sum {
  return { bytes: (a?.bytes ?? 0) + b.bytes, connections: (a?.connections ?? 0) + b.connections };
}

function isMulticast(address: string): boolean {
  const first = Number(address.split(".")[0]);
  return (first >= 224 && first <= 239) || address === "255.255.255.255" || /^ff[0-9a-f]{2}:/i.test(address);
}
