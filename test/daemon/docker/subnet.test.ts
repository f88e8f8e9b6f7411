import { describe, expect, test } from "vitest";
import { chooseSubnet, firstAddress, lowerHalf, parseRoutes } from "../../../daemon/docker/subnet.ts";

describe("chooseSubnet", () => {
  const all10 = "10.0.0.0/8";
  const rows: [string, string[], string | null][] = [
    ["takes the preferred one when nothing is in the way", [], "10.213.0.0/16"],
    ["goes on to the next when it is taken", ["10.213.0.0/16"], "10.214.0.0/16"],
    ["sees that a smaller network lies inside", ["10.213.77.0/24"], "10.214.0.0/16"],
    ["sees that a larger network lies around", ["10.212.0.0/14"], "10.216.0.0/16"],
    ["sees an address with host bits", ["10.213.5.9/20"], "10.214.0.0/16"],
    ["starts over at 10.0 after 10.255", ["10.192.0.0/10"], "10.0.0.0/16"],
    ["leaves 10/8 when a VPN routes all of it", [all10], "172.31.0.0/16"],
    ["leaves 172.16/12 too", [all10, "172.16.0.0/12"], "198.18.0.0/16"],
    ["takes carrier-grade NAT's range then", [all10, "172.16.0.0/12", "198.18.0.0/15"], "100.127.0.0/16"],
    ["and a small one last", [all10, "172.16.0.0/12", "198.18.0.0/15", "100.64.0.0/10"], "192.168.255.0/24"],
    ["finds none when everything is taken", ["0.0.0.0/1", "128.0.0.0/1"], null],
    ["ignores the default route, IPv6 and nonsense", ["0.0.0.0/0", "fd00::/8", "", "10.999.0.0/16"], "10.213.0.0/16"],
  ];
  test.each(rows)("%s", (_why, taken, expected) => {
    expect(chooseSubnet(taken, 213)).toBe(expected);
  });
});

test("containers get the lower half, and the bridge the first address", () => {
  expect(lowerHalf("10.213.0.0/16")).toBe("10.213.0.0/17");
  expect(firstAddress("10.213.0.0/16")).toBe("10.213.0.1");
});

test("the host's routes are read from /proc/net/route without the default route", () => {
  const text = [
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
    "eth0\t00000000\t0100A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0",
    "docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0",
    "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0",
    "eth0\t0164A8C0\t00000000\t0001\t0\t0\t0\tFFFFFFFF\t0\t0\t0",
    "broken line",
    "",
  ].join("\n");
  expect(parseRoutes(text)).toEqual(["172.17.0.0/16", "10.0.0.0/8", "192.168.100.1/32"]);
});
