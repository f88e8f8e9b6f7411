import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type BypassCount, readBypassCounts } from "../../../proxy/contract/bypass.ts";

const table = { table: { family: "inet", name: "devmesh", handle: 7 } };
const element = (concat: (string | number)[], packets: number, bytes: number) => ({
  elem: { val: { concat }, counter: { packets, bytes } },
});
const set = (name: string, ...elem: unknown[]) => ({
  set: { family: "inet", name, table: "devmesh", size: 1024, elem },
});
const listed = (...parts: unknown[]) =>
  [[table], parts].map((nftables) => JSON.stringify({ nftables: [{ metainfo: {} }, ...nftables] })).join("\n");

const seen = 0x10000;

describe("readBypassCounts", () => {
  test.each<[string, unknown, BypassCount]>([
    [
      "a flow's first packet and all others are one count, with as many connections as first packets",
      set(
        "passed_uncaptured_out4",
        element(["10.0.0.3", "udp", 5000, 0], 2, 66),
        element(["10.0.0.3", "udp", 5000, seen], 5, 165),
      ),
      {
        cause: "udp",
        opener: "out",
        peer: "10.0.0.3",
        protocol: "udp",
        port: 5000,
        packets: 7,
        bytes: 231,
        connections: 2,
      },
    ],
    [
      "a mark that says more than that does not matter",
      set(
        "passed_excluded_out4",
        element(["10.0.0.3", "tcp", 3306, 1338], 1, 60),
        element(["10.0.0.3", "tcp", 3306, seen + 1338], 3, 180),
      ),
      {
        cause: "excluded",
        opener: "out",
        peer: "10.0.0.3",
        protocol: "tcp",
        port: 3306,
        packets: 4,
        bytes: 240,
        connections: 1,
      },
    ],
    [
      "IPv6, opened by the peer, a protocol by its number",
      set("passed_uncaptured_in6", element(["fd00::2", 17, 53, 0], 1, 70)),
      { cause: "udp", opener: "in", peer: "fd00::2", protocol: "udp", port: 53, packets: 1, bytes: 70, connections: 1 },
    ],
    [
      "a protocol without ports has none, whatever lay there",
      set("passed_uncaptured_out4", element(["10.0.0.3", "gre", 2048, 0], 1, 70)),
      {
        cause: "other",
        opener: "out",
        peer: "10.0.0.3",
        protocol: "gre",
        port: 0,
        packets: 1,
        bytes: 70,
        connections: 1,
      },
    ],
    [
      "what was routed for others",
      set("passed_forwarded_out4", element(["192.0.2.9", "tcp", 443, 0], 1, 60)),
      {
        cause: "forwarded",
        opener: "out",
        peer: "192.0.2.9",
        protocol: "tcp",
        port: 443,
        packets: 1,
        bytes: 60,
        connections: 1,
      },
    ],
    [
      "connections that were cut count one by one, under the port of the server",
      set(
        "cut_older4",
        element(["10.0.0.3", "tcp", 5432, 40000], 1, 60),
        element(["10.0.0.3", "tcp", 5432, 40001], 2, 120),
      ),
      {
        cause: "older",
        opener: "out",
        peer: "10.0.0.3",
        protocol: "tcp",
        port: 5432,
        packets: 3,
        bytes: 180,
        connections: 2,
      },
    ],
    [
      "the server may be on this side",
      set("cut_ipv66", element(["fd00::2", "tcp", 40000, 8080], 1, 60)),
      {
        cause: "ipv6",
        opener: "in",
        peer: "fd00::2",
        protocol: "tcp",
        port: 8080,
        packets: 1,
        bytes: 60,
        connections: 1,
      },
    ],
    [
      "UDP that was refused was on its way out, from whatever port",
      set("cut_refused4", element(["10.0.0.3", "udp", 5000, 53], 1, 60)),
      {
        cause: "refused",
        opener: "out",
        peer: "10.0.0.3",
        protocol: "udp",
        port: 5000,
        packets: 1,
        bytes: 60,
        connections: 1,
      },
    ],
  ])("%s", (_why, part, expected) => {
    expect(readBypassCounts(listed(part)).counts).toEqual([expected]);
  });

  test("what the user excludes, sets of others and empty ones count nothing", () => {
    const { counts, generation, overflow } = readBypassCounts(
      listed(
        { set: { name: "excluded_out4", elem: [{ prefix: { addr: "10.0.0.0", len: 8 } }] } },
        { set: { name: "passed_uncaptured_out4" } },
        set("passed_elsewhere_out4", element(["10.0.0.3", "udp", 1, 0], 1, 1)),
        { counter: { name: "overflow", packets: 3, bytes: 90 } },
      ),
    );
    expect(counts).toEqual([]);
    expect(generation).toBe(7);
    expect(overflow).toEqual({ packets: 3, bytes: 90 });
  });

  test.each([
    ["nothing", "", "the rules are not loaded"],
    [
      "another table",
      JSON.stringify({ nftables: [{ table: { name: "nat", handle: 1 } }] }),
      "the rules are not loaded",
    ],
    [
      "an element without counters",
      listed(set("cut_older4", { elem: { val: { concat: ["a", "b", 1, 2] } } })),
      "not an element",
    ],
    ["nft's words", "Error: No such file or directory", "JSON"],
  ])("refuses %s", (_why, text, message) => {
    expect(() => readBypassCounts(text)).toThrow(message);
  });

  test("never takes anything for a count that is none", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        try {
          for (const { bytes, port } of readBypassCounts(listed({ set: { name: "cut_older4", elem: value } })).counts) {
            expect(Number.isFinite(bytes) && Number.isFinite(port)).toBe(true);
          }
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
    );
  });
});
