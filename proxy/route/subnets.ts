// Subnets as numbers, IPv4 and IPv6, to ask whether an address is in one of them.
import { isIPv4, isIPv6 } from "node:net";

export interface Subnet {
  readonly isIpv6: boolean;
  /** The bits that all of its addresses begin with. */
  readonly prefix: bigint;
  /** How many of an address' bits are the host's. */
  readonly hostBits: bigint;
}

export function parseSubnets(cidrs: readonly string[]): readonly Subnet[] {
  return cidrs.flatMap((cidr) => parseCidr(cidr) ?? []);
}

export function isInOneOf(subnets: readonly Subnet[], address: string): boolean {
  const parsed = parseAddress(address);
  if (parsed === null) return false;
  return subnets.some(
    ({ isIpv6, prefix, hostBits }) => isIpv6 === parsed.isIpv6 && parsed.number >> hostBits === prefix,
  );
}

/** Holds every address of its family: what is said of a network that Docker has not described yet. */
export function isEverything({ isIpv6, hostBits }: Subnet): boolean {
  return hostBits === width(isIpv6);
}

function width(isIpv6: boolean): bigint {
  return isIpv6 ? 128n : 32n;
}

/** Null: not a subnet. Without a length it is one address. */
function parseCidr(cidr: string): Subnet | null {
  const [address = "", length] = cidr.split("/");
  const parsed = parseAddress(address);
  if (parsed === null) return null;
  const { isIpv6, number } = parsed;
  const hostBits = length === undefined ? 0n : width(isIpv6) - BigInt(length);
  return { isIpv6, prefix: number >> hostBits, hostBits };
}

/** A zone (fe80::1%eth0) is left out of the number. */
function parseAddress(text: string): { readonly isIpv6: boolean; readonly number: bigint } | null {
  if (isIPv4(text)) return { isIpv6: false, number: joined(text.split(".").map(Number), 8n) };
  const address = text.split("%")[0] ?? "";
  if (!isIPv6(address)) return null;
  // The URL parser writes an embedded IPv4 address in hexadecimal, so that only groups and one gap are left.
  const [left = "", right] = new URL(`http://[${address}]`).hostname.slice(1, -1).split("::");
  const before = groupsOf(left);
  const after = right === undefined ? [] : groupsOf(right);
  const gap = new Array<number>(8 - before.length - after.length).fill(0);
  return { isIpv6: true, number: joined([...before, ...gap, ...after], 16n) };
}

function groupsOf(text: string): number[] {
  return text === "" ? [] : text.split(":").map((group) => Number.parseInt(group, 16));
}

function joined(parts: readonly number[], bits: bigint): bigint {
  return parts.reduce((sum, part) => (sum << bits) | BigInt(part), 0n);
}
