import { describe, expect, test } from "vitest";
import { assertNoBypass } from "../../../cli/commands/check-bypass.ts";
import { bypassLines, bytesText } from "../../../cli/screen/bypass-lines.ts";
import type { BypassEdgeView, BypassView, StatusView } from "../../../daemon/api/view.ts";

const udp: BypassEdgeView = {
  from: "website",
  to: "stats",
  cause: "udp",
  verdict: "passed",
  protocol: "udp",
  port: 5000,
  bytes: 12_345,
  connections: 3,
};
const none: BypassView = { bytes: 0, connections: 0, edges: [], isComplete: true, unread: [], uncovered: [] };
const linesOf = (more: Partial<BypassView>) =>
  bypassLines({ bypass: { ...none, ...more } } as StatusView).map(({ text }) => text);

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [12_345, "12 kB"],
  [3_400_000_000, "3.4 GB"],
  [9e15, "9000 TB"],
])("%d bytes are shown as %s", (bytes, expected) => {
  expect(bytesText(bytes)).toBe(expected);
});

describe("bypassLines", () => {
  test.each<[string, Partial<BypassView>, string[]]>([
    ["nothing where nothing passed", {}, []],
    ["UDP", { edges: [udp] }, ["past the mesh: website -> stats udp/5000 12 kB (3 flows)"]],
    [
      "an excluded port",
      { edges: [{ ...udp, cause: "excluded", protocol: "tcp", port: 9000, connections: 1 }] },
      ["past the mesh: website -> stats tcp/9000 12 kB (1 connection, excluded from capture)"],
    ],
    [
      "what was cut, which is no bypass",
      { edges: [{ ...udp, cause: "older", verdict: "cut", protocol: "tcp", port: 5432 }] },
      ["cut: website -> stats tcp/5432 12 kB (3 connections, older than the rules)"],
    ],
    [
      "a protocol without ports",
      { edges: [{ ...udp, cause: "other", protocol: "gre", port: 0 }] },
      ["past the mesh: website -> stats gre 12 kB (3 flows)"],
    ],
    [
      "more peers than are told apart",
      { edges: [{ ...udp, to: "unknown", cause: "overflow", protocol: "", port: 0, connections: 0 }] },
      ["past the mesh: website -> unknown 12 kB (0 flows, too many peers to tell apart)"],
    ],
    ["no DNS to a server outside", { edges: [{ ...udp, verdict: "resolver", to: "outside", port: 53 }] }, []],
    [
      "a container that could not be counted for",
      { unread: [{ container: "shop_cart_1", reason: "its sidecar does not run" }] },
      ["not counted: shop_cart_1: its sidecar does not run"],
    ],
  ])("shows %s", (_why, more, expected) => {
    expect(linesOf(more)).toEqual(expected);
  });

  test("sums up what is more than a few", () => {
    const lines = linesOf({ edges: Array.from({ length: 9 }, (_, i) => ({ ...udp, port: 5000 + i })) });
    expect(lines).toHaveLength(6);
    expect(lines.at(-1)).toBe("past the mesh: 4 more edges");
  });

  test("shows nothing for a daemon that does not count", () => {
    expect(bypassLines({} as StatusView)).toEqual([]);
  });
});

describe("--fail-on-bypass", () => {
  test.each<[string, BypassView | undefined]>([
    ["nothing passed", none],
    [
      "only DNS to a server outside did",
      { ...none, edges: [{ ...udp, verdict: "resolver", to: "outside", port: 53 }] },
    ],
    ["all that was seen was cut", { ...none, edges: [{ ...udp, verdict: "cut", cause: "older" }] }],
    [
      "somebody opted a container out",
      { ...none, uncovered: [{ container: "c", service: "c", reason: "mesh: false", isChosen: true }] },
    ],
  ])("succeeds where %s", (_why, bypass) => {
    expect(() => assertNoBypass(bypass)).not.toThrow();
  });

  test.each<[string, BypassView | undefined, string, string]>([
    [
      "bytes passed, with the edges that carried most",
      { ...none, bytes: 50_000, edges: Array.from({ length: 5 }, (_, i) => ({ ...udp, port: 5000 + i })) },
      "DM0501",
      "50 kB went past the mesh: website -> stats udp/5000 12 kB (3 flows), website -> stats udp/5001 12 kB (3 flows), " +
        "website -> stats udp/5002 12 kB (3 flows), and 2 more",
    ],
    [
      "a sidecar could not be read",
      { ...none, isComplete: false, unread: [{ container: "c", reason: "its sidecar does not run" }] },
      "DM0502",
      "not everything was counted: c: its sidecar does not run",
    ],
    [
      "a container has no sidecar and nobody wanted that",
      { ...none, uncovered: [{ container: "c", service: "c", reason: "network_mode host", isChosen: false }] },
      "DM0502",
      "not everything was counted: c has no sidecar: network_mode host",
    ],
    ["nobody recounted", { ...none, isComplete: false }, "DM0502", "not everything was counted"],
    ["the daemon does not count", undefined, "DM0502", "this mesh's daemon does not count what goes past it"],
  ])("fails with exit code 7 where %s", (_why, bypass, code, message) => {
    expect(() => assertNoBypass(bypass)).toThrow(expect.objectContaining({ code, message, exitCode: 7 }));
  });
});
