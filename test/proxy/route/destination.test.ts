import { describe, expect, test } from "vitest";
import { fixedDestination, nextDestination } from "../../../proxy/route/destination.ts";
import { payment, serviceIn, tableOf } from "./config.ts";

const table = tableOf();
const service = serviceIn(table, "payment");

test("routes apply to a service as a whole", () => {
  expect(fixedDestination({ service, version: null, endpointId: null }, 80)).toBe(null);
});

test.each([
  ["an alias means its port", 80, 8080],
  ["a declared port means itself", 8080, 8080],
  ["a port that nobody declared stands for itself", 7000, 7000],
])("%s", (_why, dialled, port) => {
  expect(fixedDestination({ service, version: "v1", endpointId: null }, dialled)?.port).toBe(port);
  const next = nextDestination(table, { service, split: service.tcp, routeName: "tcp" }, dialled);
  expect("port" in next && next.port).toBe(port);
});

describe("a split of TCP connections", () => {
  test("goes by connection, exactly", () => {
    const tcp = [
      { service: "payment", subset: "v1", port: null, weight: 3 },
      { service: "payment", subset: "v2", port: null, weight: 1 },
    ];
    const split = tableOf([payment({ tcp })]);
    const from = { service: serviceIn(split, "payment"), split: serviceIn(split, "payment").tcp, routeName: "tcp" };
    const versions = Array.from({ length: 40 }, () => {
      const next = nextDestination(split, from, 8080);
      return "version" in next ? next.version : null;
    });
    expect(versions.filter((version) => version === "v1").length).toBe(30);
  });
});
