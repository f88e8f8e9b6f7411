import fc from "fast-check";
import { expect, test } from "vitest";
import { durationBucketsMs, type Edge } from "../../../proxy/contract/report.ts";
import { Counters, type HttpObservation } from "../../../proxy/telemetry/counters.ts";

const edge = (parts: Partial<Edge> = {}): Edge => ({
  reporter: "source",
  sourceWorkload: "c1",
  sourceService: "cart",
  sourceVersion: "v1",
  sourcePrincipal: "cart",
  destinationWorkload: "p1",
  destinationService: "payment",
  destinationVersion: "v1",
  destinationPrincipal: "payment",
  security: "mutual_tls",
  flags: "-",
  ...parts,
});
const seen = (parts: Partial<HttpObservation> = {}): HttpObservation => ({
  edge: edge(),
  protocol: "http",
  status: 200,
  durationMs: 1,
  requestBytes: 1,
  responseBytes: 2,
  retries: 0,
  ...parts,
});
const sum = (numbers: readonly number[]) => numbers.reduce((a, b) => a + b, 0);

test.each([
  ["at a bound, which belongs to the bucket", 5, 2],
  ["above it", 5.001, 3],
  ["nothing", 0, 0],
  ["more than the last bound", 3_600_001, durationBucketsMs.length],
])("a duration %s", (_why, durationMs, bucket) => {
  const counters = new Counters("b");
  counters.observe(seen({ durationMs }));
  const [series] = counters.report().http;
  expect(series?.buckets.map((count, i) => (count > 0 ? i : -1)).filter((i) => i >= 0)).toEqual([bucket]);
  expect(series?.buckets.length).toBe(durationBucketsMs.length + 1);
});

test("every observation is counted once, under the series of its labels", () => {
  const observation = fc.record({
    status: fc.constantFrom(200, 404, 503),
    flags: fc.constantFrom("-", "UF"),
    version: fc.constantFrom("v1", "v2"),
    durationMs: fc.double({ min: 0, max: 1e7, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(observation, { maxLength: 200 }), (all) => {
      const counters = new Counters("b");
      for (const { status, flags, version, durationMs } of all) {
        counters.observe(seen({ status, durationMs, edge: edge({ flags, destinationVersion: version }) }));
      }
      const { http } = counters.report();
      for (const series of http) {
        const own = all.filter(
          ({ status, flags, version }) =>
            status === series.status && flags === series.flags && version === series.destinationVersion,
        );
        expect([sum(series.buckets), series.requestBytes, series.responseBytes]).toEqual([
          own.length,
          own.length,
          own.length * 2,
        ]);
        expect(series.sumMs).toBeCloseTo(sum(own.map(({ durationMs }) => durationMs)), 3);
      }
      expect(sum(http.map(({ buckets }) => sum(buckets)))).toBe(all.length);
    }),
  );
});

test("series are bounded: those beyond are counted together, none is lost", () => {
  const counters = new Counters("b");
  for (let i = 0; i < 6000; i++) {
    counters.observe(seen({ edge: edge({ destinationWorkload: `p${i}` }) }));
    counters.tcp(edge({ destinationWorkload: `p${i}` })).opened++;
  }
  const { http, tcp, proxy } = counters.report();
  expect([http.length, tcp.length, proxy.seriesDropped]).toEqual([5001, 5001, 2000]);
  const rest = http.find(({ destinationService }) => destinationService === "other");
  expect(sum(rest?.buckets ?? [])).toBe(1000);
  expect(tcp.find(({ destinationService }) => destinationService === "other")?.opened).toBe(1000);
  expect(sum(http.map(({ buckets }) => sum(buckets)))).toBe(6000);
});

test("the same TCP edge is the same entry", () => {
  const counters = new Counters("b");
  expect(counters.tcp(edge())).toBe(counters.tcp(edge()));
  expect(counters.tcp(edge({ flags: "UF" }))).not.toBe(counters.tcp(edge()));
});

test("the proxy's own counters are reported with what it costs", () => {
  const counters = new Counters("boot-1");
  counters.count("loopsClosed");
  counters.connections(1);
  counters.connections(1);
  counters.connections(-1);
  const { boot, proxy } = counters.report();
  expect([boot, proxy]).toMatchObject(["boot-1", { loopsClosed: 1, connectionsOpen: 1 }]);
  expect([proxy.rssBytes > 0, proxy.cpuUs > 0]).toEqual([true, true]);
});
