import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { failure, unprocessed } from "../../../proxy/http/failure.ts";
import { Endpoint } from "../../../proxy/upstream/endpoint.ts";
import { serviceConfig } from "../../support/mesh-pair.ts";
import { endpointOf, opener } from "./scripted.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const service = serviceConfig("payment", 8080);
const place = { config: endpointOf("a"), service, plainAddress: null };
const refused = unprocessed(failure("UF", 503, "x", "refused"));
const gone = failure("UC", 503, "x", "gone");
const request = { isUpgrade: false, port: 8080 };

function fixture() {
  const { all, open } = opener();
  return { endpoint: new Endpoint(place, open), all };
}

test("after a failed connect it is avoided for a while, longer each time, until it succeeds", () => {
  const { endpoint } = fixture();
  const avoidedFor = () => {
    let ms = 0;
    for (; endpoint.isAvoided; ms += 100) vi.advanceTimersByTime(100);
    return ms;
  };
  const fail = () => {
    endpoint.begin();
    endpoint.end(refused);
  };
  const times = Array.from({ length: 6 }, () => {
    fail();
    fail(); // Together they are one failure.
    return avoidedFor();
  });
  expect(times).toEqual([1000, 2000, 4000, 8000, 16_000, 16_000]);
  fail();
  endpoint.begin();
  endpoint.end(null);
  expect([endpoint.isAvoided, endpoint.active]).toEqual([false, 0]);
  fail();
  expect(avoidedFor()).toBe(1000);
});

test("a client that leaves, a timeout or a bad response say nothing about whether it can be reached", () => {
  const { endpoint } = fixture();
  for (const flag of ["DC", "UT", "UPE", "LR", "UO"] as const) {
    endpoint.begin();
    endpoint.end(failure(flag, 503, "x", "x"));
  }
  expect(endpoint.isAvoided).toBe(false);
});

test("its connections are opened once, and again after they were cut", () => {
  const { endpoint, all } = fixture();
  endpoint.upstream(request);
  endpoint.upstream({ isUpgrade: true, port: 8080 });
  expect(all.length).toBe(1);
  endpoint.close(gone);
  expect(all[0]?.closed).toEqual([gone]);
  endpoint.upstream(request);
  expect(all.length).toBe(2);
});

test("what is tried again while it is being cut gets connections that are not", () => {
  const { endpoint, all } = fixture();
  endpoint.upstream(request);
  const [first] = all;
  if (first !== undefined) first.onCut = () => void endpoint.upstream(request);
  endpoint.close(gone);
  expect(all.map(({ closed }) => closed.length)).toEqual([1, 0]);
});

test("tunnels are cut with it, those that let go are not", () => {
  const { endpoint } = fixture();
  const cut: string[] = [];
  endpoint.carry({ destroy: () => cut.push("carried") });
  endpoint.carry({ destroy: () => cut.push("let go") })();
  endpoint.close(gone);
  endpoint.close(gone);
  expect(cut).toEqual(["carried"]);
});

test.each<[string, Parameters<Endpoint["update"]>[0], boolean]>([
  ["nothing new", place, false],
  ["another state", { ...place, config: endpointOf("a", { isBalanced: false }) }, false],
  ["another name", { ...place, config: endpointOf("a", { workload: "renamed" }) }, false],
  ["another address", { ...place, config: endpointOf("a", { address: "10.99.0.200" }) }, true],
  ["another start", { ...place, config: endpointOf("a", { startedAt: "later" }) }, true],
  ["another identity to prove", { ...place, service: { ...service, identity: "spiffe://other/ns/a/sa/b" } }, true],
  ["from mTLS to plaintext: what is open is finished", { ...place, plainAddress: "172.20.0.97" }, false],
])("a reload with %s", (_why, next, isMoved) => {
  const { endpoint } = fixture();
  endpoint.begin();
  endpoint.end(refused);
  expect([endpoint.update(next), endpoint.isAvoided, endpoint.config]).toEqual([isMoved, !isMoved, next.config]);
});

test("from mTLS to plaintext new requests go by new connections, and all are cut when it is gone", () => {
  const { endpoint, all } = fixture();
  endpoint.upstream(request);
  expect([endpoint.security, endpoint.host]).toEqual(["mutual_tls", "10.99.0.97"]);
  endpoint.update({ ...place, plainAddress: "172.20.0.97" });
  expect([endpoint.security, endpoint.host]).toEqual(["none", "172.20.0.97"]);
  endpoint.upstream(request);
  expect(all.map(({ place: { plainAddress } }) => plainAddress)).toEqual([null, "172.20.0.97"]);
  endpoint.update(place);
  endpoint.upstream(request);
  expect(all.length).toBe(2);
  endpoint.retire();
  endpoint.close(gone);
  expect(all.map(({ drains, closed }) => [drains, closed.length])).toEqual([
    [1, 1],
    [1, 1],
  ]);
});
