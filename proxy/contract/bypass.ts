// What one network namespace counted past its proxy, as nft lists it and as the daemon reads it. Pure.

/** What a person is told. The first five passed, the last three were cut. */
export type BypassCause =
  /** A port or CIDR that is excluded from capture. */
  | "excluded"
  /** UDP, which no proxy carries, or another protocol that is not TCP. */
  | "udp"
  | "other"
  /** TCP that a container opened between its start and its rules. */
  | "early"
  /** What the container routed for others. */
  | "forwarded"
  /** TCP that no proxy carried: connections older than the rules. */
  | "older"
  /** IPv6 TCP where the proxy has no listener for it. */
  | "ipv6"
  /** UDP where egress is restricted. */
  | "refused";

export interface BypassCount {
  readonly cause: BypassCause;
  /** `out`: this container opened the connection; `in`: the peer did. */
  readonly opener: "out" | "in";
  readonly peer: string;
  /** "tcp", "udp", or what the kernel calls it. */
  readonly protocol: string;
  /** Of the side that was called; 0 where the protocol has none. */
  readonly port: number;
  /** With IP headers, both directions. */
  readonly bytes: number;
  readonly packets: number;
  readonly connections: number;
}

/** Counters since the rules were loaded. */
export interface BypassCounts {
  /** Another number after each loading of the rules, which begins at zero. */
  readonly generation: number;
  readonly counts: readonly BypassCount[];
  /** What passed and found no room in the sets: nobody knows between whom. */
  readonly overflow: { readonly packets: number; readonly bytes: number };
}

/** Prints what `readBypassCounts` takes. Needs NET_ADMIN: uid 0 in the sidecar's container. */
export const bypassCommand: readonly string[] = [
  "nft",
  "-j",
  "list tables inet; list sets table inet devmesh; list counters table inet devmesh",
];

/** Twelve full sets and what is around them have some 1.5 MB. */
export const bypassBytesMax = 4 * 1024 * 1024;

/** Set in the mark of a connection that was counted before. */
export const countedBit = 0x10000;
/** Of sets whose elements are counted; others hold what the user excludes. */
const setName = /^(?:passed_(\w+)_(out|in)|cut_(\w+))[46]$/;
const protocolsWithPorts: ReadonlySet<string> = new Set(["tcp", "udp", "udplite", "sctp", "dccp"]);

/** Throws where the text is not nft's list of our table. */
export function readBypassCounts(text: string): BypassCounts {
  const listed = text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .flatMap((line) => arrayOf(record(JSON.parse(line)).nftables).map(record));
  const table = listed.map(({ table }) => record(table)).find(({ name }) => name === "devmesh");
  if (typeof table?.handle !== "number") throw new Error("the rules are not loaded");
  const sums = new Map<string, BypassCount>();
  for (const set of listed.map(({ set }) => record(set))) {
    const [, passed, opener, cut] = setName.exec(String(set.name)) ?? [];
    for (const element of arrayOf(set.elem)) {
      const one = isPassed(passed)
        ? passedOf(element, passed, opener === "in")
        : isCut(cut)
          ? cutOf(element, cut)
          : null;
      if (one === null) continue;
      const key = [one.cause, one.opener, one.peer, one.protocol, one.port].join();
      sums.set(key, plus(sums.get(key), one));
    }
  }
  const overflow = listed.map(({ counter }) => record(counter)).find(({ name }) => name === "overflow");
  return {
    generation: table.handle,
    counts: [...sums.values()],
    overflow: { packets: Number(overflow?.packets ?? 0), bytes: Number(overflow?.bytes ?? 0) },
  };
}

type PassedSet = "excluded" | "uncaptured" | "early" | "forwarded";
type CutCause = "older" | "ipv6" | "refused";

function isPassed(name: string | undefined): name is PassedSet {
  return name === "excluded" || name === "uncaptured" || name === "early" || name === "forwarded";
}

function isCut(name: string | undefined): name is CutCause {
  return name === "older" || name === "ipv6" || name === "refused";
}

/** Peer, protocol, port and mark: packets under a mark without the bit are the first of their connections. */
function passedOf(element: unknown, passed: PassedSet, isIn: boolean): BypassCount {
  const { key, packets, bytes } = elementOf(element);
  const [peer = "", protocol = "", port = 0, mark = 0] = key;
  const open = protocolOf(protocol) === "udp" ? "udp" : "other";
  return {
    cause: passed === "uncaptured" ? open : passed,
    opener: isIn ? "in" : "out",
    ...place(peer, protocol, port),
    packets,
    bytes,
    connections: (Number(mark) & countedBit) === 0 ? packets : 0,
  };
}

/** Peer, protocol, the peer's port and this side's. A server's port is the lower one, by far the most often. */
function cutOf(element: unknown, cause: CutCause): BypassCount {
  const { key, packets, bytes } = elementOf(element);
  const [peer = "", protocol = "", peerPort = 0, ownPort = 0] = key;
  const isOut = cause === "refused" || Number(peerPort) <= Number(ownPort);
  return {
    cause,
    opener: isOut ? "out" : "in",
    ...place(peer, protocol, isOut ? peerPort : ownPort),
    packets,
    bytes,
    connections: 1,
  };
}

type Part = string | number;

function place(peer: Part, protocol: Part, port: Part): Pick<BypassCount, "peer" | "protocol" | "port"> {
  const name = protocolOf(protocol);
  return { peer: String(peer), protocol: name, port: protocolsWithPorts.has(name) ? Number(port) : 0 };
}

/** nft says the name where /etc/protocols has one. */
function protocolOf(part: Part): string {
  return { 6: "tcp", 17: "udp", 132: "sctp" }[part] ?? String(part);
}

function elementOf(element: unknown): { key: Part[]; packets: number; bytes: number } {
  const { val, counter } = record(record(element).elem);
  const key = arrayOf(record(val).concat).map((part) => (typeof part === "number" ? part : String(part)));
  const { packets, bytes } = record(counter);
  if (key.length !== 4 || typeof packets !== "number" || typeof bytes !== "number") {
    throw new Error(`not an element of an accounting set: ${JSON.stringify(element)}`);
  }
  return { key, packets, bytes };
}

function plus(sum: BypassCount | undefined, one: BypassCount): BypassCount {
  if (sum === undefined) return one;
  const { packets, bytes, connections } = sum;
  return {
    ...one,
    packets: packets + one.packets,
    bytes: bytes + one.bytes,
    connections: connections + one.connections,
  };
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};
}

function arrayOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
