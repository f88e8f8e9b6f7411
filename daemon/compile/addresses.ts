// Virtual addresses: one per service (and per version with a name of its own), stable, from the upper half of the mesh's
// subnet. Docker's own addresses come from the lower half (its ip-range), so the two never meet.

/**
 * Keeps what `previous` has; a new name starts at its own hash and takes the next free one, so that even without a memory
 * the same names mostly get the same addresses. Names that went keep theirs until there is no other left. A name is
 * missing from the result when the subnet is full (or no IPv4 one).
 */
export function allocate(
  names: readonly string[],
  previous: ReadonlyMap<string, string>,
  subnet: string,
): ReadonlyMap<string, string> {
  const range = upperHalf(subnet);
  if (range === null) return new Map();
  const wanted = new Set(names);
  const owners = new Map<number, string>();
  const result = new Map<string, string>();
  const keep = (name: string, address: string) => {
    const number = parseIpv4(address);
    const isFree = number !== null && number >= range.first && number < range.first + range.size && !owners.has(number);
    if (!isFree) return;
    owners.set(number, name);
    result.set(name, address);
  };
  // Wanted names first: of two that claim one address, the one in use keeps it.
  const sorted = [...previous].sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, address] of sorted) if (wanted.has(name)) keep(name, address);
  for (const [name, address] of sorted) if (!wanted.has(name)) keep(name, address);
  for (const name of [...wanted].sort()) {
    if (result.has(name)) continue;
    const number = probe(name, range, (taken) => owners.has(taken)) ?? evict(name, range, { owners, wanted, result });
    if (number === null) continue;
    owners.set(number, name);
    result.set(name, formatIpv4(number));
  }
  return new Map([...result].sort(([a], [b]) => (a < b ? -1 : 1)));
}

interface Range {
  readonly first: number;
  readonly size: number;
}

function probe(name: string, { first, size }: Range, isTaken: (address: number) => boolean): number | null {
  const start = hashOf(name) % size;
  for (let step = 0; step < size; step++) {
    const address = first + ((start + step) % size);
    if (!isTaken(address)) return address;
  }
  return null;
}

interface Taken {
  readonly owners: Map<number, string>;
  readonly wanted: ReadonlySet<string>;
  readonly result: Map<string, string>;
}

/** Takes the address of a name that is gone. */
function evict(name: string, range: Range, { owners, wanted, result }: Taken): number | null {
  const address = probe(name, range, (taken) => wanted.has(owners.get(taken) ?? ""));
  if (address !== null) result.delete(owners.get(address) ?? "");
  return address;
}

/** Without the broadcast address. Null: not IPv4, or too small to have an upper half. */
function upperHalf(subnet: string): Range | null {
  const [address = "", bits = ""] = subnet.split("/");
  const base = parseIpv4(address);
  const length = /^\d{1,2}$/.test(bits) ? Number(bits) : 33;
  if (base === null || length < 1 || length > 30) return null;
  const total = 2 ** (32 - length);
  const network = Math.floor(base / total) * total;
  return { first: network + total / 2, size: total / 2 - 1 };
}

function parseIpv4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) <= 255)) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

function formatIpv4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join(".");
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
