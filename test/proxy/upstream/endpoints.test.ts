import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { failure, unprocessed } from "../../../proxy/http/failure.ts";
import { seededRandom } from "../../../proxy/route/split.ts";
import { Endpoints, lastWordsMs } from "../../../proxy/upstream/endpoints.ts";
import { endpointOf, opener, tableOf } from "./scripted.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const refused = unprocessed(failure("UF", 503, "x", "refused"));
const request = { isUpgrade: false, port: 8080 };
const [a, b, c] = [endpointOf("a"), endpointOf("b"), endpointOf("c")];

function fixture() {
  const { all, open } = opener();
  return { endpoints: new Endpoints({ random: seededRandom(1), open }), all };
}

test("a reload keeps the endpoints that stay, with their connections", () => {
  const { endpoints, all } = fixture();
  endpoints.apply(tableOf([a, b]));
  const before = endpoints.get("a");
  before?.upstream(request);
  endpoints.apply(tableOf([{ ...a, isBalanced: false }, c]));
  expect(endpoints.get("a")).toBe(before);
  expect([all[0]?.closed, endpoints.get("b")]).toEqual([[], null]);
});

test("one that is gone takes nothing new at once, is heard out, and then loses its connections", () => {
  const { endpoints, all } = fixture();
  endpoints.apply(tableOf([a]));
  endpoints.get("a")?.upstream(request);
  endpoints.apply(tableOf([]));
  expect([endpoints.pick([a], []), all[0]?.drains, all[0]?.closed]).toEqual([null, 1, []]);
  vi.advanceTimersByTime(lastWordsMs);
  expect(all[0]?.closed.map(({ flag, reason }) => [flag, reason])).toEqual([
    ["UC", "shop_payment_a stopped while it was answering"],
  ]);
  expect(vi.getTimerCount()).toBe(0);
});

test("one that comes back while the old is heard out is another", () => {
  const { endpoints, all } = fixture();
  endpoints.apply(tableOf([a]));
  endpoints.get("a")?.upstream(request);
  endpoints.apply(tableOf([]));
  endpoints.apply(tableOf([a]));
  endpoints.get("a")?.upstream(request);
  vi.advanceTimersByTime(lastWordsMs);
  expect(all.map(({ closed }) => closed.length)).toEqual([1, 0]);
});

test("what a reload cuts finds every endpoint as the new table has it", () => {
  const { endpoints, all } = fixture();
  endpoints.apply(tableOf([a, b]));
  for (const id of ["a", "b"]) endpoints.get(id)?.upstream(request);
  const moved = [a, b].map((one) => ({ ...one, startedAt: "later" }));
  const found: unknown[] = [];
  for (const opened of all) {
    opened.onCut = () => {
      for (const id of ["a", "b", "c"]) {
        const endpoint = endpoints.get(id);
        endpoint?.upstream(request);
        found.push(endpoint?.config);
      }
    };
  }
  endpoints.apply(tableOf([...moved, c]));
  expect(found).toEqual([...moved, c, ...moved, c]);
  expect(all.slice(2).every(({ closed }) => closed.length === 0)).toBe(true);
});

test("connections from an address that this container lost are cut", () => {
  const { endpoints, all } = fixture();
  endpoints.apply(tableOf([a]));
  endpoints.get("a")?.upstream(request);
  endpoints.apply(tableOf([a], { node: { addresses: ["172.20.0.2", "10.99.0.2", "172.21.0.2"] } }));
  expect(all[0]?.closed).toEqual([]);
  endpoints.apply(tableOf([a], { node: { addresses: ["10.99.0.2"] } }));
  expect(all[0]?.closed.map(({ flag }) => flag)).toEqual(["UC"]);
});

test("those that were tried or that failed lately are taken only where there is no other", () => {
  const { endpoints } = fixture();
  endpoints.apply(tableOf([a, b, c]));
  const [one, two, three] = ["a", "b", "c"].map((id) => endpoints.get(id));
  one?.begin();
  one?.end(refused);
  for (let i = 0; i < 20; i++) expect(endpoints.pick([a, b, c], [two])).toBe(three);
  for (let i = 0; i < 20; i++) expect(endpoints.pick([a, b], [two])).toBe(one);
  for (let i = 0; i < 20; i++) expect(endpoints.pick([b], [two])).toBe(two);
  expect(endpoints.pick([], [])).toBe(null);
});

test("whoever waits is told of every change, until it cancels", () => {
  const { endpoints } = fixture();
  const told = vi.fn();
  const cancel = endpoints.onChange(() => told(endpoints.get("b") !== null));
  endpoints.apply(tableOf([a]));
  endpoints.apply(tableOf([a, b]));
  cancel();
  endpoints.apply(tableOf([]));
  expect(told.mock.calls).toEqual([[false], [true]]);
});

test.each<[string, Parameters<typeof tableOf>[1], string | null]>([
  ["a service with mTLS is called over it", { service: { mtls: "permissive" } }, null],
  [
    "one that takes plaintext: at the address that is on a network of the caller's",
    { service: { mtls: "disable" } },
    "172.20.0.97",
  ],
  [
    "a caller that shares no network with it can only come by the mesh's, which passes mTLS",
    {
      service: { mtls: "disable" },
      inbound: { networks: { gateways: [], subnets: ["172.30.0.0/16", "10.99.0.0/16"] } },
    },
    null,
  ],
  [
    "a network that is not described yet is shared with nobody",
    { service: { mtls: "disable" }, inbound: { networks: { gateways: [], subnets: ["0.0.0.0/0"] } } },
    null,
  ],
  ["so can a gateway", { service: { mtls: "disable" }, inbound: null }, null],
])("plaintext: %s", (_why, parts, expected) => {
  const { endpoints } = fixture();
  endpoints.apply(tableOf([{ ...a, aliases: ["172.19.0.97", "172.20.0.97"] }], parts));
  expect(endpoints.get("a")?.plainAddress).toBe(expected);
});

test("after any sequence of tables exactly those of the last are there, and every other connection is closed once", () => {
  const list = fc.subarray(["a", "b", "c", "d"]);
  fc.assert(
    fc.property(fc.array(fc.tuple(list, fc.constantFrom("1", "2")), { maxLength: 8 }), (tables) => {
      vi.clearAllTimers();
      const { endpoints, all } = fixture();
      for (const [ids, startedAt] of tables) {
        endpoints.apply(tableOf(ids.map((id) => endpointOf(id, { startedAt }))));
        for (const id of ids) endpoints.get(id)?.upstream(request);
      }
      vi.advanceTimersByTime(lastWordsMs);
      const last = tables.at(-1)?.[0] ?? [];
      const open = all.filter(({ closed }) => closed.length === 0).map(({ place }) => place.config.id);
      expect(open.sort()).toEqual([...last].sort());
      expect(all.every(({ closed }) => closed.length <= 1)).toBe(true);
      endpoints.close();
      expect([all.every(({ closed }) => closed.length === 1), vi.getTimerCount()]).toEqual([true, 0]);
    }),
  );
});
