// Chooses the mesh's subnet: one that neither Docker's networks nor the host's routes use.

interface Range {
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
}

/**
 * A /16 (or, last of all, a /24) that overlaps nothing in `taken`, or null when there is none. `taken` are IPv4 CIDRs;
 * what is not one is ignored. The choice starts at `preferred` (0 to 255) of 10.x, so that a mesh gets the same again.
 */
export function chooseSubnet(taken: readonly string[], preferred: number): string | null {
  const ranges = taken.map(parseCidr).filter((range) => range !== null);
  for (const candidate of candidates(preferred)) {
    const range = parseCidr(candidate);
    if (range !== null && !ranges.some((other) => range.first <= other.last && other.first <= range.last))
      return candidate;
  }
  return null;
}

/** A VPN may route all of 10/8: then 172.16/12, the benchmark range, carrier-grade NAT's, and 192.168. */
function* candidates(preferred: number): Generator<string> {
  for (let n = 0; n < 256; n++) yield `10.${(preferred + n) % 256}.0.0/16`;
  for (let n = 31; n >= 16; n--) yield `172.${n}.0.0/16`;
  yield "198.18.0.0/16";
  yield "198.19.0.0/16";
  for (let n = 127; n >= 64; n--) yield `100.${n}.0.0/16`;
  for (let n = 255; n >= 0; n--) yield `192.168.${n}.0/24`;
}

/** False for what is no IPv4 address, or no IPv4 CIDR. */
export function isWithin(cidr: string, address: string): boolean {
  const range = parseCidr(cidr);
  const one = parseCidr(`${address}/32`);
  return range !== null && one !== null && range.first <= one.first && one.last <= range.last;
}

/** The half from which Docker hands out addresses; virtual addresses come from the other. */
export function lowerHalf(cidr: string): string {
  const [address = "", bits = ""] = cidr.split("/");
  return `${address}/${Number(bits) + 1}`;
}

export function firstAddress(cidr: string): string {
  const range = parseCidr(cidr);
  if (range === null) throw new Error(`not an IPv4 CIDR: ${cidr}`);
  return formatAddress(range.first + 1);
}

/** CIDRs of a Linux /proc/net/route, without the default route: hexadecimal, in the machine's (little) byte order. */
export function parseRoutes(text: string): string[] {
  const routes: string[] = [];
  for (const line of text.split("\n").slice(1)) {
    const fields = line.trim().split(/\s+/);
    const destination = parseHexAddress(fields[1]);
    const mask = parseHexAddress(fields[7]);
    if (destination === null || mask === null || mask === 0) continue;
    routes.push(`${formatAddress(destination)}/${bitsOf(mask)}`);
  }
  return routes;
}

function bitsOf(mask: number): number {
  let bits = 0;
  for (let bit = 31; bit >= 0 && ((mask >>> bit) & 1) === 1; bit--) bits++;
  return bits;
}

function parseHexAddress(text: string | undefined): number | null {
  if (text === undefined || !/^[0-9A-Fa-f]{8}$/.test(text)) return null;
  return Buffer.from(text, "hex").readUInt32LE();
}

function parseCidr(text: string): Range | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (match === null) return null;
  const [a = 0, b = 0, c = 0, d = 0, bits = 0] = match.slice(1).map(Number);
  if (Math.max(a, b, c, d) > 255 || bits > 32 || bits === 0) return null; // A default route overlaps everything and means nothing.
  const size = 2 ** (32 - bits);
  const address = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d;
  const first = address - (address % size);
  return { first, last: first + size - 1 };
}

function formatAddress(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}
