import { expect, test } from "vitest";
import type { HostConfig } from "../../../proxy/contract/config.ts";
import { buildTable } from "../../../proxy/route/table.ts";
import { cart, configOf, newSplits, payment, v1 } from "./config.ts";

const port = (address: string, number: number, service: string, version: string | null = null) => ({
  address,
  port: number,
  service,
  version,
  servicePort: 8080,
});
const host: HostConfig = {
  addresses: ["172.17.0.1", "fd12::1"],
  ports: [
    port("0.0.0.0", 80, "payment"),
    port("::", 81, "payment"),
    port("192.168.1.20", 82, "payment", "v2"),
    port("0.0.0.0", 82, "cart"),
    port("0.0.0.0", 83, "unknown"),
  ],
};
const nameless = payment({ hosts: [], address: "", versionHosts: [] });
const config = configOf([nameless, cart()], { payment: [v1], cart: [] });
const table = buildTable({ ...config, node: { ...config.node, host } }, newSplits());

test.each<[string, string, number, string | null]>([
  ["a port at all of the host's addresses", "172.17.0.1", 80, "payment 8080"],
  ["another port of it", "172.17.0.1", 443, null],
  ["the same port of another machine", "8.8.8.8", 80, null],
  ["what is published in one family only", "172.17.0.1", 81, null],
  ["the other family", "fd12::1", 81, "payment 8080"],
  ["a port at one address, which is a version's", "192.168.1.20", 82, "payment v2 8080"],
  ["the same port at the others", "172.17.0.1", 82, "cart 8080"],
  ["a service that this proxy does not know", "172.17.0.1", 83, null],
])("%s", (_why, address, number, expected) => {
  const found = table.hostPorts(address, number);
  const { service, version } = found?.binding ?? {};
  expect(found && [service?.config.name, version, found.port].filter(Boolean).join(" ")).toBe(expected);
});

test("a service without names is at no other address", () => {
  expect([...table.byAddress.keys()]).not.toContain(v1.address);
  expect([...table.byHost.keys()]).not.toContain("payment");
});

test("without anything published the host is any address", () => {
  expect(buildTable(config, newSplits()).hostPorts("172.17.0.1", 80)).toBeNull();
});
