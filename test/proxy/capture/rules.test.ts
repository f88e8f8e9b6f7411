import { describe, expect, test } from "vitest";
import {
  counterNames,
  nftRules as nftRulesOf,
  type RuleOptions,
  removeRulesText,
} from "../../../proxy/capture/rules.ts";

const meshSubnet = "10.213.0.0/16";
const nftRules = (options: Omit<RuleOptions, "proxyGroup">) => nftRulesOf({ proxyGroup: 1_500_000_000, ...options });

describe("nftRules", () => {
  // Rewritten by `vitest -u`, reviewed in the diff. test/docker/capture.test.ts tries the same text in a kernel.
  test.each<[string, Omit<RuleOptions, "proxyGroup">]>([
    ["default", { meshSubnet }],
    [
      "everything",
      {
        meshSubnet,
        excludeInboundPorts: [22, 9100, 22],
        includeInboundPorts: [8080, 22],
        excludeOutboundPorts: [3306],
        includeOutboundPorts: [80],
        excludeOutboundCidrs: ["192.0.2.0/24", "192.0.2.7", "fd00::/8"],
        includeOutboundCidrs: ["198.51.100.0/24"],
        isUdpDropped: true,
        isIpv6Captured: true,
        sparesEarly: true,
      },
    ],
  ])("writes %s.nft", async (name, options) => {
    await expect(nftRules(options)).toMatchFileSnapshot(`../../golden/capture/${name}.nft`);
  });

  test("begins by replacing an older table in the same transaction, and flushes nothing", () => {
    const text = nftRules({ meshSubnet });
    expect(text.startsWith(removeRulesText)).toBe(true);
    expect(text).not.toContain("flush");
  });

  test("names every counter in a rule, and no other", () => {
    const used = new Set(
      [true, false].flatMap((isUdpDropped) =>
        [...nftRules({ meshSubnet, isUdpDropped }).matchAll(/counter name (\w+)/g)].map(([, name]) => name),
      ),
    );
    expect([...used].sort()).toEqual([...counterNames].sort());
  });

  test("never lets an exclusion come before the rule that closes the mesh's subnet", () => {
    const text = nftRules({ meshSubnet, excludeOutboundPorts: [80], excludeInboundPorts: [80] });
    for (const chain of ["guard_out", "guard_in"]) {
      const rules = text.slice(text.indexOf(`chain ${chain} {`));
      expect(rules.indexOf(`${meshSubnet} goto`)).toBeLessThan(rules.indexOf("@excluded"));
    }
  });

  test.each<[string, Partial<RuleOptions>]>([
    ["a port that is a sentence", { excludeInboundPorts: ["22 } drop" as never] }],
    ["port 0", { excludeOutboundPorts: [0] }],
    ["a port beyond 65535", { excludeOutboundPorts: [65_536] }],
    ["an included port that is none", { includeInboundPorts: [70_000] }],
    ["half a port", { excludeInboundPorts: [1.5] }],
    ["a CIDR with more behind it", { excludeOutboundCidrs: ["10.0.0.0/8 } ; flush ruleset"] }],
    ["a name for a CIDR", { excludeOutboundCidrs: ["example.com"] }],
    ["a prefix that is too long", { includeOutboundCidrs: ["10.0.0.0/33"] }],
    ["an address with a zone", { excludeOutboundCidrs: ["fe80::1%eth0"] }],
    ["two slashes", { excludeOutboundCidrs: ["10.0.0.0/8/8"] }],
    ["no group", { proxyGroup: Number.NaN }],
    ["root's group", { proxyGroup: 0 }],
    ["an IPv6 mesh", { meshSubnet: "fd00::/64" }],
  ])("refuses %s", (_why, options) => {
    expect(() => nftRules({ meshSubnet, ...options })).toThrow(RangeError);
  });
});
