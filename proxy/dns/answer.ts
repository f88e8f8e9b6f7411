// What the resolver says by itself: pure functions from a query's bytes to an answer's.
import { isIPv4, isIPv6 } from "node:net";
import dnsPacket, { type Answer, type DecodedPacket, type Packet } from "dns-packet";

/** Names in lower case without the trailing dot, to addresses. */
export type NameTable = ReadonlyMap<string, readonly string[]>;

/** Short, since an address may become another container's; long enough that a busy client does not ask per call. */
export const ttlSeconds = 30;
/** RFC 1035 4.2.1, and what is taken of a client's EDNS size (the size that never fragments, as DNS flag day 2020 asks). */
const udpBytesDefault = 512;
const udpBytesMax = 1232;

const addressTypes: ReadonlySet<string> = new Set(["A", "AAAA", "ANY"]);
const headerBytes = 12;
const flagResponse = 0x8000;
const flagAuthoritative = 0x0400;
const flagTruncated = 0x0200;
const flagRecursionDesired = 0x0100;
const flagRecursionAvailable = 0x0080;
const opcodeQuery = 0;
const rcodeMask = 0x000f;
const formErr = 1;
const servFail = 2;
const nxDomain = 3;

export type Verdict =
  | { readonly kind: "answer"; readonly bytes: Buffer }
  /** Not ours: the query goes on as it is. */
  | { readonly kind: "forward" }
  /** Not even a header, or a response: nothing can be answered (and two resolvers must not answer each other). */
  | { readonly kind: "drop" };

export function canonicalName(name: string): string {
  return (name.endsWith(".") ? name.slice(0, -1) : name).toLowerCase();
}

/** Never throws. Over UDP an answer that does not fit is cut and marked, so that the client comes again over TCP. */
export function answer(query: Buffer, table: NameTable, transport: "udp" | "tcp"): Verdict {
  if (query.length < headerBytes || (query.readUInt16BE(2) & flagResponse) !== 0) return { kind: "drop" };
  let packet: DecodedPacket;
  try {
    packet = dnsPacket.decode(query);
  } catch {
    return { kind: "answer", bytes: failed(query, formErr) };
  }
  // Other opcodes (NOTIFY, UPDATE) and odd numbers of questions are for whoever knows them.
  if (((query.readUInt16BE(2) >> 11) & 0xf) !== opcodeQuery) return { kind: "forward" };
  const [question, ...others] = packet.questions ?? [];
  if (question === undefined || others.length > 0) return { kind: "answer", bytes: failed(query, formErr) };
  const { name } = question;
  // The types of dns-packet leave out what only questions have.
  const type: string = question.type;
  const addresses = ["IN", "ANY"].includes(question.class ?? "IN") ? table.get(canonicalName(name)) : undefined;
  if (addresses === undefined) return { kind: "forward" };
  const known = { name, type, addresses: addressTypes.has(type) ? addresses : [], transport };
  return { kind: "answer", bytes: encode(packet, known) };
}

interface Known {
  readonly name: string;
  readonly type: string;
  readonly addresses: readonly string[];
  readonly transport: "udp" | "tcp";
}

function encode(query: DecodedPacket, known: Known): Buffer {
  const id = query.id ?? 0;
  const opt = query.additionals?.find((additional) => additional.type === "OPT");
  const asked = opt !== undefined && "udpPayloadSize" in opt ? opt.udpPayloadSize : 0;
  const base: Packet = {
    type: "response",
    id,
    flags: flagAuthoritative | flagRecursionAvailable | (query.flag_rd ? flagRecursionDesired : 0),
    questions: query.questions ?? [],
    // A response to a query with EDNS has EDNS (RFC 6891 7).
    additionals:
      opt === undefined
        ? []
        : [
            {
              type: "OPT",
              name: ".",
              udpPayloadSize: udpBytesMax,
              extendedRcode: 0,
              ednsVersion: 0,
              flags: 0,
              flag_do: false,
              options: [],
            },
          ],
  };
  const bytes = dnsPacket.encode({ ...base, answers: records(known, id) });
  const bytesMax = known.transport === "tcp" ? 65_535 : Math.min(Math.max(asked, udpBytesDefault), udpBytesMax);
  if (bytes.length <= bytesMax) return bytes;
  return dnsPacket.encode({ ...base, flags: (base.flags ?? 0) | flagTruncated, answers: [] });
}

/** Every query starts at another address, since many clients take the first one only; ids are random. */
function records({ name, type, addresses }: Known, id: number): Answer[] {
  const first = addresses.length === 0 ? 0 : id % addresses.length;
  return [...addresses.slice(first), ...addresses.slice(0, first)].flatMap((address): Answer[] => {
    if (isIPv4(address) && type !== "AAAA") return [{ type: "A", name, ttl: ttlSeconds, data: address }];
    if (isIPv6(address) && type !== "A") return [{ type: "AAAA", name, ttl: ttlSeconds, data: address }];
    return [];
  });
}

/**
 * What another resolver said, unless it told an address that the application must not learn: the mesh's network is no way from one
 * container to another, and before the mesh Docker did not know the name there. Such a name does not exist.
 */
export function withoutHidden(response: Buffer, isHidden: (address: string) => boolean): Buffer {
  let packet: DecodedPacket;
  try {
    packet = dnsPacket.decode(response);
  } catch {
    return response; // Not ours to judge; the client will.
  }
  const tellsHidden = (packet.answers ?? []).some((record) => record.type === "A" && isHidden(record.data));
  return tellsHidden ? failed(response, nxDomain) : response;
}

/** The answer when nobody could be asked. The query's question, if it can be told, comes back with it. */
export function serverFailure(query: Buffer): Buffer {
  return failed(query, servFail);
}

function failed(query: Buffer, rcode: number): Buffer {
  const end = questionEnd(query);
  const bytes = Buffer.from(query.subarray(0, end ?? headerBytes));
  const kept = query.readUInt16BE(2) & ~(rcodeMask | flagTruncated | flagAuthoritative);
  bytes.writeUInt16BE(kept | flagResponse | flagRecursionAvailable | rcode, 2);
  bytes.writeUInt16BE(end === null ? 0 : 1, 4);
  bytes.fill(0, 6, headerBytes);
  return bytes;
}

/** Where the only question of a message ends, or null when there is not exactly one or it is broken. */
export function questionEnd(message: Buffer): number | null {
  if (message.length < headerBytes || message.readUInt16BE(4) !== 1) return null;
  let at = headerBytes;
  for (;;) {
    const label = message[at];
    // A question's name has nothing before it to point to, so a pointer is an error.
    if (label === undefined || label > 63) return null;
    at += 1 + label;
    if (label === 0) break;
  }
  return at + 4 <= message.length ? at + 4 : null;
}
