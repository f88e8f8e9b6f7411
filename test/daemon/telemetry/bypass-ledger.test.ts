import { describe, expect, test } from "vitest";
import { BypassLedger } from "../../../daemon/telemetry/bypass-ledger.ts";
import type { BypassCount, BypassCounts } from "../../../proxy/contract/bypass.ts";

const web = { service: "web", container: "web-1" };
const stats = { service: "stats", container: "stats-1" };
const stats2 = { service: "stats", container: "stats-2" };

const count = (more: Partial<BypassCount> = {}): BypassCount => ({
  cause: "udp",
  opener: "out",
  peer: "10.0.0.3",
  protocol: "udp",
  port: 5000,
  bytes: 100,
  packets: 3,
  connections: 2,
  ...more,
});
const counts = (list: readonly BypassCount[], generation = 1): BypassCounts => ({
  generation,
  counts: list,
  overflow: { packets: 0, bytes: 0 },
});

function ledger(): BypassLedger {
  const made = new BypassLedger();
  made.learn([
    ["10.0.0.2", web],
    ["10.0.0.3", stats],
    ["10.0.0.4", stats2],
  ]);
  return made;
}

const edge = {
  from: "web",
  to: "stats",
  cause: "udp",
  verdict: "passed",
  protocol: "udp",
  port: 5000,
  bytes: 100,
  connections: 2,
};

describe("BypassLedger", () => {
  test("names both ends", () => {
    const made = ledger();
    expect(made.add("w", web, counts([count()]))).toBe(true);
    expect(made.edges()).toEqual([edge]);
  });

  test("adds what has grown since the last reading, and says when nothing has", () => {
    const made = ledger();
    made.add("w", web, counts([count()]));
    expect(made.add("w", web, counts([count()]))).toBe(false);
    expect(made.add("w", web, counts([count({ bytes: 150, connections: 3 })]))).toBe(true);
    expect(made.edges()).toEqual([{ ...edge, bytes: 150, connections: 3 }]);
  });

  test("begins anew when the rules were loaded anew, even where the new counters are larger already", () => {
    const made = ledger();
    made.add("w", web, counts([count()]));
    made.add("w", web, counts([count({ bytes: 120 })], 2));
    expect(made.edges()).toEqual([{ ...edge, bytes: 220, connections: 4 }]);
  });

  test("counts once what both ends have counted, and takes the larger view of each pair", () => {
    const made = ledger();
    made.add("w", web, counts([count(), count({ peer: "10.0.0.4", bytes: 10, connections: 1 })]));
    made.add("s", stats, counts([count({ opener: "in", peer: "10.0.0.2", bytes: 90 })]));
    made.add("s2", stats2, counts([count({ opener: "in", peer: "10.0.0.2", bytes: 30, connections: 1 })]));
    expect(made.edges()).toEqual([{ ...edge, bytes: 130, connections: 3 }]);
  });

  test("keeps what one end excludes although the other one carries it by its proxy", () => {
    const made = ledger();
    made.add("s", stats, counts([count({ cause: "excluded", protocol: "tcp", opener: "in", peer: "10.0.0.2" })]));
    expect(made.edges()).toEqual([{ ...edge, cause: "excluded", protocol: "tcp" }]);
  });

  test.each<[string, Partial<BypassCount>, object]>([
    ["an address of nobody's", { peer: "192.0.2.1" }, { to: "outside" }],
    ["a caller of nobody's", { peer: "192.0.2.1", opener: "in" }, { from: "outside", to: "web" }],
    ["a group", { peer: "239.1.1.1" }, { to: "multicast" }],
    ["an IPv6 group", { peer: "ff02::fb" }, { to: "multicast" }],
    ["DNS to a server outside", { peer: "192.0.2.1", port: 53 }, { verdict: "resolver", to: "outside" }],
    ["DNS to a container", { port: 53 }, { verdict: "passed", to: "stats" }],
    ["DNS from outside", { peer: "192.0.2.1", port: 53, opener: "in" }, { verdict: "passed", to: "web" }],
    ["what was cut", { cause: "older", protocol: "tcp" }, { verdict: "cut" }],
    ["IPv6 that was cut", { cause: "ipv6", protocol: "tcp" }, { verdict: "cut" }],
    ["UDP that was refused", { cause: "refused" }, { verdict: "cut" }],
  ])("calls %s by its name", (_why, more, expected) => {
    const made = ledger();
    made.add("w", web, counts([count(more)]));
    expect(made.edges()).toEqual([expect.objectContaining(expected)]);
  });

  test("knows who had an address after its container is gone, and who has it now", () => {
    const made = ledger();
    made.learn([["10.0.0.9", { service: "new", container: "new-1" }]]);
    made.add("w", web, counts([count()]));
    expect(made.edges()).toEqual([edge]);
    made.learn([["10.0.0.3", { service: "other", container: "other-1" }]]);
    made.add("w", web, counts([count({ bytes: 300 })]));
    expect(made.edges().map(({ to, bytes }) => [to, bytes])).toEqual([
      ["other", 200],
      ["stats", 100],
    ]);
  });

  test("what found no room in the kernel's sets is counted, towards nobody knows whom", () => {
    const made = ledger();
    made.add("w", web, { ...counts([]), overflow: { packets: 3, bytes: 300 } });
    made.add("w", web, { ...counts([]), overflow: { packets: 4, bytes: 400 } });
    expect(made.edges()).toEqual([
      {
        from: "web",
        to: "unknown",
        cause: "overflow",
        verdict: "passed",
        protocol: "",
        port: 0,
        bytes: 400,
        connections: 0,
      },
    ]);
  });

  test("is bounded: beyond its pairs everything is counted towards unknown", () => {
    const made = ledger();
    made.add("w", web, counts(Array.from({ length: 3000 }, (_, i) => count({ port: i + 1000, bytes: 1 }))));
    const edges = made.edges();
    expect(edges.length).toBeLessThan(2100);
    expect(edges.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(3000);
    expect(edges[0]).toMatchObject({ to: "unknown", port: 0 });
  });

  test("what a namespace that is gone has counted stays", () => {
    const made = ledger();
    made.add("w", web, counts([count()]));
    made.forget("w");
    expect(made.edges()).toEqual([edge]);
  });
});
