// Which of a container's traffic goes through its proxy: what the daemon decides and the rules enforce. A member that is
// missing is its default: everything is captured.
import { isIP } from "node:net";

/** Where a sidecar listens in the application's own network namespace: no application's ports, and never excluded. */
export const reservedPorts: readonly number[] = [15_001, 15_006, 15_008, 15_020, 15_053];

export interface CaptureOptions {
  /** TCP ports of the application of which nothing is captured from outside the mesh's network. */
  readonly excludeInboundPorts?: readonly number[];
  /** When given, only these TCP ports of the application are captured; an empty list is none. */
  readonly includeInboundPorts?: readonly number[];
  /** TCP ports that the application reaches directly, at any address outside the mesh's subnet. */
  readonly excludeOutboundPorts?: readonly number[];
  /** TCP ports that are captured beside `includeOutboundCidrs`, and only with it; exclusions come first. */
  readonly includeOutboundPorts?: readonly number[];
  /** Addresses or CIDRs, IPv4 or IPv6, that the application reaches directly. */
  readonly excludeOutboundCidrs?: readonly string[];
  /** When given, only these (and the mesh's subnet) are captured; everything else is reached directly. */
  readonly includeOutboundCidrs?: readonly string[];
  /** A job's start, ISO 8601: what it opens before its rules are there is spared. */
  readonly startedAt?: string;
}

/** An address, or one with the length of a prefix (192.0.2.7, 10.0.0.0/8, fd00::/8): null; else what is wrong with it. */
export function cidrFault(text: string): string | null {
  const [address = "", bits, ...rest] = text.split("/");
  // A zone (fe80::1%eth0) passes isIP, but is no address of a rule.
  const family = address.includes("%") ? 0 : isIP(address);
  if (family === 0 || rest.length > 0) return "it is neither an address nor a CIDR";
  const width = family === 4 ? 32 : 128;
  const isPrefix = bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= width);
  return isPrefix ? null : `a prefix of IPv${family} has 0 to ${width} bits`;
}
