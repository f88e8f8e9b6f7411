import { expect, test } from "vitest";
import { hostAddressesOf, machineAddresses } from "../../../daemon/docker/host-addresses.ts";
import { readNetwork } from "../../../daemon/docker/read-container.ts";

const network = (Id: string, Name: string, pools: readonly object[], Driver = "bridge") =>
  readNetwork({ Id, Name, Driver, IPAM: { Config: pools } });
const networks = [
  network("0", "bridge", [{ Subnet: "172.17.0.0/16" }]),
  network("1", "shop_six", [
    { Subnet: "172.20.0.0/16", Gateway: "172.20.0.1" },
    { Subnet: "fd1::/64", Gateway: "fd1::1" },
  ]),
  network("2", "other_default", [{ Subnet: "172.21.0.0/16", Gateway: "172.21.0.1" }]),
  network("3", "lan", [{ Subnet: "192.168.1.0/24", Gateway: "192.168.1.1" }], "macvlan"),
];

test("the host is at its own addresses, at the default bridge's and at those of the project's networks", () => {
  const machine = ["172.17.0.1", "172.20.0.1", "172.21.0.1", "192.168.1.20", "fd1::1"];
  const found = hostAddressesOf(networks, machine, new Set(["1", "3"]));
  expect(found).toEqual(["172.17.0.1", "172.20.0.1", "192.168.1.20", "fd1::1"]);
});

test("where the engine is elsewhere, at Docker's bridges alone", () => {
  expect(hostAddressesOf(networks, [], new Set(["1"]))).toEqual(["172.17.0.1", "172.20.0.1", "fd1::1"]);
  expect(machineAddresses({ isLocal: false })).toEqual([]);
});

test("this machine's loopback and the addresses of its links are not among them", () => {
  const addresses = machineAddresses({ isLocal: true });
  expect(addresses.filter((address) => /^(?:127\.|::1$|fe80:)/.test(address))).toEqual([]);
});
