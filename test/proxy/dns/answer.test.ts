import dnsPacket, { type Packet } from "dns-packet";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { answer, questionEnd, serverFailure, withoutHidden } from "../../../proxy/dns/answer.ts";

const many = Array.from({ length: 200 }, (_, i) => `10.213.0.${i}`);
const table = new Map([
  ["payment", ["10.213.200.5"]],
  ["payment.shop", ["10.213.200.5"]],
  ["dns", ["172.18.0.2", "172.18.0.3"]],
  ["both", ["172.18.0.2", "fd00::2"]],
  ["many", many],
  ["nobody", []],
]);

function query(name: string, type = "A", more: Partial<Packet> = {}): Buffer {
  return dnsPacket.encode({
    type: "query",
    id: 4,
    flags: dnsPacket.RECURSION_DESIRED,
    questions: [{ name, type: type as "A" }],
    ...more,
  });
}

function reply(bytes: Buffer, transport: "udp" | "tcp" = "udp") {
  const verdict = answer(bytes, table, transport);
  if (verdict.kind !== "answer") throw new Error(`it is ${verdict.kind}`);
  const packet = dnsPacket.decode(verdict.bytes) as dnsPacket.DecodedPacket & { rcode: string };
  const addresses = (packet.answers ?? []).map((record) => ("data" in record ? record.data : null));
  return { rcode: packet.rcode, addresses, packet, bytes: verdict.bytes };
}

describe("a name of the mesh", () => {
  test.each([
    ["resolves to its address", "payment", "A", ["10.213.200.5"]],
    ["resolves in any case", "PayMent.Shop", "A", ["10.213.200.5"]],
    ["has all its addresses, the first one by the query's id", "dns", "A", ["172.18.0.2", "172.18.0.3"]],
    ["has no IPv6 address, which is no error", "payment", "AAAA", []],
    ["has an IPv6 address when the table has one", "both", "AAAA", ["fd00::2"]],
    ["has no mail server", "payment", "MX", []],
    ["has no HTTPS record", "payment", "HTTPS", []],
    ["may be known and have no address", "nobody", "A", []],
  ])("%s", (_why, name, type, expected) => {
    const { rcode, addresses, packet } = reply(query(name, type));
    expect({ rcode, addresses }).toEqual({ rcode: "NOERROR", addresses: expected });
    expect(packet.id).toBe(4);
    expect(packet.questions?.[0]?.name).toBe(name);
    expect(packet.answers?.every((record) => "ttl" in record && record.ttl === 30)).toBe(true);
  });

  test("starts at another address with another id", () => {
    expect(reply(query("dns", "A", { id: 5 })).addresses).toEqual(["172.18.0.3", "172.18.0.2"]);
  });

  test("that does not fit is cut over UDP, whole over TCP", () => {
    const cut = reply(query("many"));
    expect(cut.packet.flag_tc).toBe(true);
    expect(cut.addresses).toEqual([]);
    expect(reply(query("many"), "tcp").addresses).toHaveLength(200);
  });

  test("is answered with EDNS when asked with EDNS", () => {
    const opt = { type: "OPT", name: ".", udpPayloadSize: 4096, flags: 0, options: [] } as never;
    expect(reply(query("payment", "A", { additionals: [opt] })).packet.additionals).toMatchObject([{ type: "OPT" }]);
    expect(reply(query("payment")).packet.additionals).toEqual([]);
  });
});

describe("what is not the mesh's", () => {
  test.each([
    ["another name is forwarded", query("example.com"), "forward"],
    ["a known name under a search domain is forwarded", query("payment.corp.example"), "forward"],
    ["another opcode is forwarded", opcode(query("payment"), 4), "forward"],
    ["a response is dropped", dnsPacket.encode({ type: "response", id: 1, questions: [] }), "drop"],
    ["half a header is dropped", Buffer.alloc(11), "drop"],
  ])("%s", (_why, bytes, kind) => {
    expect(answer(bytes, table, "udp").kind).toBe(kind);
  });

  test.each([
    ["a query without a question", dnsPacket.encode({ type: "query", id: 9, questions: [] })],
    ["a name that points to itself", Buffer.from("000901000001000000000000c00c00010001", "hex")],
    ["a name that does not end", Buffer.from("0009010000010000000000003f6161", "hex")],
    [
      "two questions",
      dnsPacket.encode({
        type: "query",
        id: 9,
        questions: [
          { name: "a", type: "A" },
          { name: "b", type: "A" },
        ],
      }),
    ],
  ])("%s is a format error", (_why, bytes) => {
    const { rcode, packet } = reply(bytes);
    expect({ rcode, id: packet.id }).toEqual({ rcode: "FORMERR", id: 9 });
  });
});

function opcode(bytes: Buffer, code: number): Buffer {
  bytes.writeUInt16BE(bytes.readUInt16BE(2) | (code << 11), 2);
  return bytes;
}

test("a server failure carries the question and can be decoded", () => {
  const packet = dnsPacket.decode(serverFailure(query("example.com", "MX"))) as dnsPacket.DecodedPacket & {
    rcode: string;
  };
  expect(packet).toMatchObject({
    id: 4,
    type: "response",
    rcode: "SERVFAIL",
    questions: [{ name: "example.com", type: "MX" }],
  });
});

describe("hostile bytes", () => {
  const check = (bytes: Buffer): void => {
    const verdict = answer(bytes, table, "udp");
    if (verdict.kind === "answer") {
      expect(verdict.bytes.length).toBeLessThanOrEqual(1232);
      dnsPacket.decode(verdict.bytes);
    }
    if (bytes.length >= 12) {
      questionEnd(bytes);
      serverFailure(bytes);
    }
  };

  test("random messages never make it throw", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => check(Buffer.from(bytes))));
  });

  test("mutated queries never make it throw", () => {
    const change = fc.tuple(fc.nat(80), fc.nat(255));
    fc.assert(
      fc.property(
        fc.constantFrom("payment", "many", "example.com"),
        fc.array(change, { maxLength: 6 }),
        fc.nat(80),
        (name, changes, cut) => {
          const bytes = query(name, "A", {
            additionals: [{ type: "OPT", name: ".", udpPayloadSize: 900, flags: 0, options: [] } as never],
          });
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          check(bytes.subarray(0, Math.max(0, bytes.length - (cut > 60 ? cut - 60 : 0))));
        },
      ),
      { numRuns: 1000 },
    );
  });
});

describe("what another resolver says", () => {
  const said = (addresses: readonly string[]): Buffer =>
    dnsPacket.encode({
      type: "response",
      id: 7,
      flags: dnsPacket.RECURSION_AVAILABLE | dnsPacket.RECURSION_DESIRED,
      questions: [{ name: "shop_db_1", type: "A" }],
      answers: addresses.map((data) => ({ type: "A", name: "shop_db_1", ttl: 600, data })),
    });
  const isHidden = (address: string) => address.startsWith("10.213.");

  test.each([
    ["an address of the project's network is told as it is", ["172.20.0.2"]],
    ["no address is no address", []],
  ])("%s", (_why, addresses) => {
    expect(withoutHidden(said(addresses), isHidden)).toEqual(said(addresses));
  });

  test("a name that means an address of the mesh's network does not exist", () => {
    const bytes = withoutHidden(said(["10.213.0.4"]), isHidden);
    const packet = dnsPacket.decode(bytes) as dnsPacket.DecodedPacket & { rcode: string };
    expect(packet).toMatchObject({ id: 7, rcode: "NXDOMAIN", answers: [], flag_rd: true });
    expect(packet.questions).toMatchObject([{ name: "shop_db_1", type: "A" }]);
  });

  test("what cannot be read is the client's to judge", () => {
    const bytes = said(["10.213.0.4"]).subarray(0, 30);
    expect(withoutHidden(bytes, isHidden)).toBe(bytes);
  });
});
