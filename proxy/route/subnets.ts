// IPv4 subnets as numbers, to ask whether an address is in one of them.
import { isIPv4 } from "node:net";

export interface Subnet {
  readonly base: number;
  readonly mask: number;
}

/** IPv6 subnets are left out. */
export function parseSubnets(cidrs: readonly string[]): readonly Subnet[] {
  return cidrs.filter((cidr) => cidr.includes(".")).map(parseCidr);
}

export function isInOneOf(subnets: readonly Subnet[], address: string): boolean {
  if (!isIPv4(address)) return false;
  const number = parseAddress(address);
  return subnets.some(({ base, mask }) => (number & mask) >>> 0 === base);
}

function parseCidr(cidr: string): Subnet {
  const [address = "", bits = "32"] = cidr.split("/");
  const mask = bits === "0" ? 0 : (0xffffffff << (32 - Number(bits))) >>> 0;
  return { base: (parseAddress(address) & mask) >>> 0, mask };
}

function parseAddress(address: string): number {
  return address.split(".").reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0);
}
