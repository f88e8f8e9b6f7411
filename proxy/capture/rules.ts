// The nftables rules of one network namespace, as text: what is captured, and the guard that cuts what flows past the capture.
// Loading the text is one transaction.
import { type CaptureOptions, cidrFault } from "../contract/capture-options.ts";
import { acceptSignals, accountingChains, accountingSets, countCut, markMask } from "./accounting.ts";
import {
  cutMark,
  directInboundMark,
  directMark,
  dnsPort,
  dockerDns,
  inboundPort,
  outboundPort,
  peerPort,
  proxyMark,
  proxyUid,
} from "./ports.ts";

export interface RuleOptions extends CaptureOptions {
  /** The group that the proxy has drawn: with its user it tells its connections from the application's. */
  readonly proxyGroup: number;
  /** IPv4 CIDR of the mesh's shared network. Exclusions never open it. */
  readonly meshSubnet: string;
  /** Drops the application's UDP, except DNS and replies (REGISTRY_ONLY egress). Otherwise it passes and is counted. */
  readonly isUdpDropped?: boolean;
  /** True where the proxy listens on ::, which is wherever the kernel has IPv6. Else IPv6 TCP is reset and counted. */
  readonly isIpv6Captured?: boolean;
  /**
   * True in a job that has just been started: what it opened before the rules lives on, and is counted. One that calls its
   * database in its first 50 ms would otherwise fail for good (measured: psql did, 8 times of 15). Whom it called has its
   * own rules, and policy. Only IPv4, unless IPv6 is captured.
   */
  readonly sparesEarly?: boolean;
}

export const tableName = "inet devmesh";

/** Why bytes were cut; each is a named counter of the table. What passed, and between whom, is in accounting.ts. */
export const counterNames = [
  "guard_out_tcp", // cut: TCP of the application that was not redirected, older than the rules
  "guard_in_tcp", // cut: the same from outside
  "guard_out_tcp6", // cut: IPv6 TCP older than the rules, or all where the proxy has no IPv6 listener
  "guard_in_tcp6",
  "guard_invalid", // dropped: TCP that conntrack cannot place (late, out of window)
  "loop_in", // cut: connections straight to the redirection's own target
  "mesh_out", // cut: anything in the mesh's subnet but TCP to 15008 and its replies
  "mesh_in",
  "mesh_forward", // cut: what the container was asked to route from or to the mesh's subnet
  "udp_dropped", // dropped: UDP under REGISTRY_ONLY
  "overflow", // passed: what no accounting set had room for
] as const;

export type CounterName = (typeof counterNames)[number];

/** Removes the table, also when there is none. */
export const removeRulesText = `table ${tableName}\ndelete table ${tableName}\n`;

/**
 * The text for `nft -f -`. It replaces an older table of the same name as one transaction; counters start at zero.
 * Throws a RangeError on anything that is not a port or a CIDR: the values come from users and end up in a language.
 */
export function nftRules(options: RuleOptions): string {
  const mesh = cidr(options.meshSubnet);
  if (family(mesh) !== "ipv4") throw new RangeError(`the mesh's subnet must be IPv4, not ${mesh}`);
  return [
    removeRulesText.trimEnd(),
    `table ${tableName} {`,
    ...counterNames.map((name) => `  counter ${name} { }`),
    ...sets(options),
    ...accountingSets(),
    ...accountingChains(),
    ...markChains(options),
    ...natChains(mesh, options),
    ...guardOut(mesh, options),
    ...guardIn(mesh, options),
    "}",
    "",
  ].join("\n");
}

function sets(options: RuleOptions): string[] {
  return [
    ...set("excluded_in_ports", "inet_service", options.excludeInboundPorts?.map(port)),
    ...set("included_in_ports", "inet_service", options.includeInboundPorts?.map(port)),
    ...set("excluded_out_ports", "inet_service", options.excludeOutboundPorts?.map(port)),
    ...set("included_out_ports", "inet_service", options.includeOutboundPorts?.map(port)),
    ...cidrSets("excluded_out", options.excludeOutboundCidrs),
    ...cidrSets("included_out", options.includeOutboundCidrs),
  ];
}

/** The owner of a socket is not its uid for ever, so the uid is asked once, for a new connection, and kept as a mark. */
function markChains({ proxyGroup }: RuleOptions): string[] {
  return chain("mark_out", "type filter hook output priority -150; policy accept;", [
    `ct state new meta skuid ${proxyUid} meta skgid ${group(proxyGroup)} ct mark set ${proxyMark}`,
  ]).concat(
    chain("mark_in", "type filter hook prerouting priority -150; policy accept;", [
      `ct direction original tcp dport ${peerPort} ct mark set ${proxyMark}`,
    ]),
  );
}

// Only a SYN is redirected: conntrack takes a packet of a connection that it never saw for a new one, and redirecting
// that would hide it from the guard, which resets and counts it.
const isSyn = "tcp flags & (fin|syn|rst|ack) == syn";
const unlessIpv6 = (options: RuleOptions): string => (options.isIpv6Captured === true ? "" : "meta nfproto ipv4 ");

function natChains(mesh: string, options: RuleOptions): string[] {
  const output = chain("output", "type nat hook output priority -110; policy accept;", [
    `ct mark ${proxyMark} return`,
    // Before Docker's own rule for its resolver, which has priority -100.
    `ip daddr ${dockerDns.address} udp dport ${dockerDns.port} redirect to :${dnsPort}`,
    `ip daddr ${dockerDns.address} tcp dport ${dockerDns.port} redirect to :${dnsPort}`,
    "ip daddr 127.0.0.0/8 return",
    "ip6 daddr ::1 return",
    "fib daddr type local return",
    // Virtual addresses are in the mesh's subnet and lead nowhere but through the proxy: exclusions do not reach them.
    `ip daddr ${mesh} ${isSyn} redirect to :${outboundPort}`,
    "tcp dport @excluded_out_ports return",
    "ip daddr @excluded_out4 return",
    "ip6 daddr @excluded_out6 return",
    ...(options.includeOutboundCidrs === undefined
      ? []
      : [
          `${unlessIpv6(options)}${isSyn} tcp dport @included_out_ports redirect to :${outboundPort}`,
          // What is included but cannot be redirected is left to the guard.
          "tcp dport @included_out_ports return",
          `${isSyn} ip daddr != @included_out4 ct mark set ${directMark} return`,
          `${isSyn} ip6 daddr != @included_out6 ct mark set ${directMark} return`,
        ]),
    `${unlessIpv6(options)}${isSyn} redirect to :${outboundPort}`,
  ]);
  const prerouting = chain("prerouting", "type nat hook prerouting priority -110; policy accept;", [
    `ct mark ${proxyMark} return`,
    'iif "lo" return',
    // A container that routes for others keeps doing so.
    "fib daddr type != local return",
    "tcp dport @excluded_in_ports return",
    ...(options.includeInboundPorts === undefined
      ? []
      : [`${isSyn} tcp dport != @included_in_ports ct mark set ${directInboundMark} return`]),
    `${unlessIpv6(options)}${isSyn} redirect to :${inboundPort}`,
  ]);
  return [...output, ...prerouting];
}

// A packet that conntrack cannot place (late, out of window) carries no mark: a reset would cut a connection of the proxy's.
const dropInvalid = "meta l4proto tcp ct state invalid counter name guard_invalid drop";

const tcpCut = ({ isIpv6Captured }: RuleOptions) =>
  ({ 4: "older", 6: isIpv6Captured === true ? "older" : "ipv6" }) as const;

/** Never what others opened: inbound policy has no such gap. Docker's own rules for its resolver have conntrack see each SYN. */
function spareEarly(direction: "original" | "reply", chain: string, options: RuleOptions): string[] {
  if (options.sparesEarly !== true) return [];
  return [`${unlessIpv6(options)}meta l4proto tcp ct mark != ${cutMark} ct direction ${direction} goto ${chain}`];
}

/**
 * A reset is heard by the sender alone, and an idle receiver (a queue's consumer, a database's listener) would wait for ever. So
 * the first packet of a connection older than the rules goes on to the other end, as a reset; the sender gets its own for
 * the next one, since it sends the unanswered first one again. Not a SYN: nobody is at its other end yet.
 */
function cut(counter: CounterName, match: string): string[] {
  const first = `tcp flags & (syn | rst) == 0x0 ct mark != ${cutMark}`;
  return [
    `${match} ${first} ct mark set ${cutMark} counter name ${counter} tcp flags set rst accept`,
    `${match} counter name ${counter} reject with tcp reset`,
  ];
}

/** Filter hooks see destinations after the redirection: a captured virtual address is 127.0.0.1 here. */
function guardOut(mesh: string, options: RuleOptions): string[] {
  return chain("guard_out", "type filter hook output priority 0; policy accept;", [
    'oif "lo" accept',
    // The guard's own answers leave through here too.
    "tcp flags & rst == rst accept",
    `ip daddr ${mesh} goto mesh_out`,
    `ct mark ${proxyMark} accept`,
    "meta l4proto tcp ct status dnat accept",
    acceptSignals,
    `ct mark and ${markMask} { ${directMark}, ${directInboundMark} } goto excluded_leaving`,
    "ip daddr @excluded_out4 goto excluded_leaving",
    "ip6 daddr @excluded_out6 goto excluded_leaving",
    "tcp dport @excluded_out_ports goto excluded_leaving",
    "tcp sport @excluded_in_ports goto excluded_leaving",
    ...(options.includeOutboundCidrs === undefined
      ? []
      : [
          "meta l4proto udp ip daddr != @included_out4 goto excluded_leaving",
          "meta l4proto udp ip6 daddr != @included_out6 goto excluded_leaving",
        ]),
    dropInvalid,
    ...spareEarly("original", "early_leaving", options),
    ...countCut("meta l4proto tcp", "leaving", tcpCut(options)),
    ...cut("guard_out_tcp6", "meta nfproto ipv6 meta l4proto tcp"),
    ...cut("guard_out_tcp", "meta l4proto tcp"),
    ...(options.isUdpDropped === true
      ? [
          ...countCut("ct direction original udp dport != 53", "leaving", { 4: "refused", 6: "refused" }),
          "ct direction original udp dport != 53 counter name udp_dropped drop",
        ]
      : []),
    "meta l4proto != tcp goto uncaptured_leaving",
  ]);
}

function guardIn(mesh: string, options: RuleOptions): string[] {
  // The port is that of conntrack's original tuple, so that a reply is known by the connection it answers.
  const peersOnly = `ct mark ${proxyMark} meta l4proto tcp ct original proto-dst ${peerPort} accept`;
  const guard = chain("guard_in", "type filter hook input priority 0; policy accept;", [
    'iif "lo" accept',
    "tcp flags & rst == rst accept",
    `ip saddr ${mesh} goto mesh_in`,
    `ip daddr ${mesh} goto mesh_in`,
    `ct mark ${proxyMark} accept`,
    "meta l4proto tcp ct status dnat accept",
    acceptSignals,
    `ct mark and ${markMask} { ${directMark}, ${directInboundMark} } goto excluded_entering`,
    "tcp dport @excluded_in_ports goto excluded_entering",
    "tcp sport @excluded_out_ports goto excluded_entering",
    "ip saddr @excluded_out4 goto excluded_entering",
    "ip6 saddr @excluded_out6 goto excluded_entering",
    `tcp dport ${inboundPort} counter name loop_in reject with tcp reset`,
    dropInvalid,
    ...spareEarly("reply", "early_entering", options),
    ...countCut("meta l4proto tcp", "entering", tcpCut(options)),
    ...cut("guard_in_tcp6", "meta nfproto ipv6 meta l4proto tcp"),
    ...cut("guard_in_tcp", "meta l4proto tcp"),
    "meta l4proto != tcp goto uncaptured_entering",
  ]);
  return [
    ...subChain("mesh_out", [
      peersOnly,
      dropInvalid,
      "meta l4proto tcp counter name mesh_out reject with tcp reset",
      "counter name mesh_out drop",
    ]),
    ...subChain("mesh_in", [
      peersOnly,
      dropInvalid,
      "meta l4proto tcp counter name mesh_in reject with tcp reset",
      "counter name mesh_in drop",
    ]),
    ...guard,
    // Docker leaves ip_forward on inside containers: a neighbour in the mesh's network could route through this one.
    ...chain("guard_forward", "type filter hook forward priority 0; policy accept;", [
      `ip saddr ${mesh} counter name mesh_forward drop`,
      `ip daddr ${mesh} counter name mesh_forward drop`,
      acceptSignals,
      "goto forwarded",
    ]),
  ];
}

function chain(name: string, hook: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, `    ${hook}`, ...rules.map((rule) => `    ${rule}`), "  }"];
}

function subChain(name: string, rules: readonly string[]): string[] {
  return [`  chain ${name} {`, ...rules.map((rule) => `    ${rule}`), "  }"];
}

function cidrSets(name: string, values: readonly string[] | undefined): string[] {
  const checked = values?.map(cidr);
  return [
    ...set(
      `${name}4`,
      "ipv4_addr",
      checked?.filter((value) => family(value) === "ipv4"),
    ),
    ...set(
      `${name}6`,
      "ipv6_addr",
      checked?.filter((value) => family(value) === "ipv6"),
    ),
  ];
}

/** Intervals are merged, since users may name overlapping ranges and nft refuses those. */
function set(name: string, type: string, elements: readonly (string | number)[] = []): string[] {
  const values = [...new Set(elements)].join(", ");
  return [
    `  set ${name} {`,
    `    type ${type}`,
    "    flags interval",
    "    auto-merge",
    ...(values === "" ? [] : [`    elements = { ${values} }`]),
    "  }",
  ];
}

function port(value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 65_535) throw new RangeError(`${value} is not a port`);
  return value;
}

function group(value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > 0xfffffffe) throw new RangeError(`${value} is not a group`);
  return value;
}

function family(value: string): "ipv4" | "ipv6" {
  return value.includes(":") ? "ipv6" : "ipv4";
}

function cidr(value: string): string {
  if (cidrFault(value) !== null) throw new RangeError(`${JSON.stringify(value)} is not a CIDR`);
  return value;
}
