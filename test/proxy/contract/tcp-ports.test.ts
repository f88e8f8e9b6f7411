import { expect, test } from "vitest";
import type { Protocol } from "../../../proxy/contract/config.ts";
import { protocolAt } from "../../../proxy/contract/tcp-ports.ts";

const listed = (number: number, protocol: Protocol) => new Map([[number, { number, protocol, aliases: [] }]]);

test.each<[string, ReturnType<typeof listed>, number, Protocol]>([
  ["MySQL's port speaks first, listed or not", new Map(), 3306, "tcp"],
  ["a port that nobody knows is sniffed", new Map(), 7000, "auto"],
  ["what a service lists wins", listed(6379, "http"), 6379, "http"],
  ["another port that it lists says nothing of this one", listed(8080, "http"), 5672, "tcp"],
])("%s", (_why, ports, port, expected) => {
  expect(protocolAt(ports, port)).toBe(expected);
});
