// What went past the proxies and what the guard cut, counted by the kernel per peer and port: the sets and chains of the rules.
// proxy/contract/bypass.ts reads them.
import { countedBit } from "../contract/bypass.ts";

/** Why packets pass: excluded from capture, of a protocol that is not captured (UDP), opened early, routed for somebody else. */
type PassedSet = "excluded" | "uncaptured" | "early" | "forwarded";
/** Why packets are cut: older than the rules, IPv6 that nobody listens for, UDP where egress is restricted. */
const cutCauses = ["older", "ipv6", "refused"] as const;
type CutCause = (typeof cutCauses)[number];
type Hook = "leaving" | "entering";

/** Peers and ports of one set. What finds no room passes, or is cut, all the same and is in a counter without names. */
const elementsMax = 1024;

/** The bit of `countedBit` left out: what a mark means. */
export const markMask = 0xffff;

const families = [
  [4, "ip", "ipv4_addr"],
  [6, "ip6", "ipv6_addr"],
] as const;

/**
 * `passed_...`: the first packet of a connection is counted under its mark without the bit, all others under the mark
 * with it, so the packets of the one element are the number of connections.
 * `cut_...`: the port of this side is kept too, since nobody knows any more who opened the connection.
 */
export function accountingSets(): string[] {
  const openers = (["excluded", "uncaptured", "early"] as const).flatMap((name) => [`${name}_out`, `${name}_in`]);
  const passed = [...openers, "forwarded_out"];
  return [
    ...passed.flatMap((name) => set(`passed_${name}`, "inet_proto . inet_service . mark")),
    ...cutCauses.flatMap((cause) => set(`cut_${cause}`, "inet_proto . inet_service . inet_service")),
  ];
}

/** Accept what they count. */
export function accountingChains(): string[] {
  const chains: [PassedSet, Hook][] = [
    ["excluded", "leaving"],
    ["excluded", "entering"],
    ["uncaptured", "leaving"],
    ["uncaptured", "entering"],
    ["early", "leaving"],
    ["early", "entering"],
  ];
  return [
    ...chain("counted", [`ct mark set ct mark or 0x${countedBit.toString(16)} accept`]),
    ...chains.flatMap(([name, hook]) => {
      const [own, others] = hook === "leaving" ? (["original", "reply"] as const) : (["reply", "original"] as const);
      return countingChain(`${name}_${hook}`, [
        ...countingRules({ direction: own, set: `passed_${name}_out`, remote: remoteOf[hook] }),
        ...countingRules({ direction: others, set: `passed_${name}_in`, remote: remoteOf[hook] }),
      ]);
    }),
    ...countingChain("forwarded", [
      ...countingRules({ direction: "original", set: "passed_forwarded_out", remote: "daddr" }),
      ...countingRules({ direction: "reply", set: "passed_forwarded_out", remote: "saddr" }),
    ]),
  ];
}

/** Signals of the network itself: errors, neighbours, memberships; and ping. */
export const acceptSignals = "meta l4proto { icmp, icmpv6, igmp } accept";

/** Before the rules that cut what matches. */
export function countCut(match: string, hook: Hook, cause: { 4: CutCause; 6: CutCause }): string[] {
  const ports = hook === "leaving" ? "th dport . th sport" : "th sport . th dport";
  return families.map(
    ([family, ip]) =>
      `${match} add @cut_${cause[family]}${family} { ${ip} ${remoteOf[hook]} . meta l4proto . ${ports} counter }`,
  );
}

const remoteOf = { leaving: "daddr", entering: "saddr" } as const;

interface Counting {
  readonly direction: "original" | "reply";
  readonly set: string;
  readonly remote: "daddr" | "saddr";
}

/** By the peer's address and the port of the side that did not open the connection. */
function countingRules({ direction, set, remote }: Counting): string[] {
  const port = direction === "original" ? "dport" : "sport";
  return families.map(
    ([family, ip]) =>
      `ct direction ${direction} add @${set}${family} { ${ip} ${remote} . meta l4proto . th ${port} . ct mark counter } goto counted`,
  );
}

function set(name: string, rest: string): string[] {
  return families.flatMap(([family, , type]) => [
    `  set ${name}${family} {`,
    `    type ${type} . ${rest}`,
    `    size ${elementsMax}`,
    "    flags dynamic",
    "  }",
  ]);
}

function countingChain(name: string, rules: readonly string[]): string[] {
  return chain(name, [...rules, "counter name overflow goto counted"]);
}

function chain(name: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), "  }"];
}
