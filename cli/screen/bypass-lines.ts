// What went past the proxies, as lines below the tables. Pure.
import type { BypassEdgeView, StatusView } from "../../daemon/api/view.ts";
import { type Line, line } from "./line.ts";

/** Further edges are summed up. */
const edgesMax = 5;

const causes: Readonly<Record<string, string>> = {
  excluded: "excluded from capture",
  early: "older than the sidecar of its job",
  forwarded: "routed for others",
  overflow: "too many peers to tell apart",
  older: "older than the rules",
  ipv6: "IPv6 without a listener",
  refused: "UDP, which egress refuses",
};

export function bypassLines({ bypass }: StatusView): Line[] {
  if (bypass === undefined) return [];
  const passed = bypass.edges.filter(({ verdict }) => verdict === "passed");
  const cut = bypass.edges.filter(({ verdict }) => verdict === "cut");
  return [
    ...passed.slice(0, edgesMax).map((edge) => line(`past the mesh: ${flowText(edge)}`, "warn")),
    ...(passed.length > edgesMax ? [line(`past the mesh: ${passed.length - edgesMax} more edges`, "warn")] : []),
    ...cut.slice(0, edgesMax).map((edge) => line(`cut: ${flowText(edge)}`, "faint")),
    ...(cut.length > edgesMax ? [line(`cut: ${cut.length - edgesMax} more edges`, "faint")] : []),
    ...bypass.unread.map(({ container, reason }) => line(`not counted: ${container}: ${reason}`, "warn")),
  ];
}

/** "website -> stats udp/5000 12 kB (3 flows)" */
export function flowText({ from, to, cause, protocol, port, bytes, connections }: BypassEdgeView): string {
  const place = port === 0 ? protocol : `${protocol}/${port}`;
  const unit = protocol === "tcp" ? "connection" : "flow";
  const count = `${connections} ${unit}${connections === 1 ? "" : "s"}`;
  const why = causes[cause] === undefined ? "" : `, ${causes[cause]}`;
  return `${from} -> ${to} ${place === "" ? "" : `${place} `}${bytesText(bytes)} (${count}${why})`;
}

/** Decimal units, three digits at most: "820 B", "1.2 kB", "12 kB", "3.4 GB". */
export function bytesText(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const at = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** at;
  return `${at === 0 || value >= 10 ? value.toFixed(0) : value.toFixed(1)} ${units[at]}`;
}
