import { expect, test } from "vitest";
import { isEverything, isInOneOf, parseSubnets } from "../../../proxy/route/subnets.ts";

test.each<[string, string, string, boolean]>([
  ["the first address", "10.1.0.0/16", "10.1.0.0", true],
  ["the last address", "10.1.0.0/16", "10.1.255.255", true],
  ["the one after it", "10.1.0.0/16", "10.2.0.0", false],
  ["a subnet written with an address of its own", "10.1.2.3/16", "10.1.9.9", true],
  ["a high address", "192.168.0.0/16", "192.168.0.1", true],
  ["one address alone", "10.1.2.3", "10.1.2.3", true],
  ["everything", "0.0.0.0/0", "203.0.113.7", true],
  ["everything of the other family", "0.0.0.0/0", "fd00::1", false],
  ["an IPv6 address", "fd12:3456::/32", "fd12:3456:ffff::1", true],
  ["an IPv6 address beside it", "fd12:3456::/32", "fd12:3457::1", false],
  ["an IPv6 address with its zone", "fe80::/10", "fe80::1%eth0", true],
  ["all of IPv6", "::/0", "2001:db8::1", true],
  ["the shortest IPv6 address", "::/128", "::", true],
  ["an address without a gap", "1:2:3:4:5:6:7:0/112", "1:2:3:4:5:6:7:8", true],
  ["a mapped IPv4 address", "::ffff:0:0/96", "::ffff:10.1.2.3", true],
  ["an IPv4 subnet holds no mapped one", "10.0.0.0/8", "::ffff:10.1.2.3", false],
  ["capitals", "FD12::/16", "fd12::1", true],
  ["no address", "0.0.0.0/0", "unknown", false],
  ["no subnet", "", "10.1.2.3", false],
])("%s", (_why, cidr, address, expected) => {
  expect(isInOneOf(parseSubnets([cidr]), address)).toBe(expected);
});

test("only a subnet of a whole family is everything", () => {
  const all = parseSubnets(["0.0.0.0/0", "::/0", "10.0.0.0/8", "::/1"]);
  expect(all.map(isEverything)).toEqual([true, true, false, false]);
});
