import { expect, test } from "vitest";
import { Ledger, requestsOf } from "../../../daemon/telemetry/ledger.ts";
import { meshRegistry } from "../../../daemon/telemetry/metrics.ts";
import { bucketCount, quantileMs } from "../../../daemon/telemetry/quantile.ts";
import { openTelemetry } from "../../../daemon/telemetry/telemetry.ts";
import { http, report, tcp } from "./series.ts";

const stranger = { sourceService: "unknown", sourceWorkload: "unknown", sourcePrincipal: "unknown" } as const;
const requests = (ledger: Ledger): number => [...ledger.http].reduce((sum, { counts }) => sum + requestsOf(counts), 0);

test("a report that was lost costs nothing: counts are cumulative", () => {
  const ledger = new Ledger();
  ledger.add("p", report("a", { http: [http(10)] }));
  ledger.add("p", report("a", { http: [http(40)] }));
  expect(requests(ledger)).toBe(40);
});

test("totals never go down when a proxy restarts, and sum over its processes", () => {
  const ledger = new Ledger();
  ledger.add("p", report("a", { http: [http(40)] }));
  const growth = ledger.add("p", report("b", { http: [http(5)] }));
  expect(requests(ledger)).toBe(45);
  expect(growth.http.map(({ counts }) => requestsOf(counts))).toEqual([5]);
  ledger.forget("p");
  expect(requests(ledger)).toBe(45);
});

test("a proxy that counts backwards takes nothing away", () => {
  const ledger = new Ledger();
  ledger.add("p", report("a", { http: [http(40)] }));
  ledger.add("p", report("a", { http: [http(10)] }));
  expect(requests(ledger)).toBe(40);
});

test("a report of changes leaves what it does not name as it was", () => {
  const ledger = new Ledger();
  ledger.add("p", report("a", { http: [http(10), http(3, { status: 503 })], tcp: [tcp(1)] }));
  ledger.add("p", { ...report("a", { http: [http(3, { status: 503 })] }), isPartial: true });
  ledger.add("p", { ...report("a", { tcp: [tcp(4)] }), isPartial: true });
  ledger.add("p", { ...report("a", { http: [http(12)] }), isPartial: true });
  expect(requests(ledger)).toBe(15);
  expect([...ledger.tcp].map(({ counts }) => counts.opened)).toEqual([4]);
  // A new daemon's first report, or a new process', is whole whatever it says.
  ledger.add("p", { ...report("b", { http: [http(5)] }), isPartial: true });
  expect(requests(ledger)).toBe(20);
});

test("two proxies with equal labels are added up", () => {
  const ledger = new Ledger();
  ledger.add("p", report("a", { http: [http(4)] }));
  ledger.add("q", report("b", { http: [http(6)] }));
  expect([...ledger.http]).toHaveLength(1);
  expect(requests(ledger)).toBe(10);
});

test("series beyond the maximum are counted as other, and no request is lost", () => {
  const ledger = new Ledger(5);
  const many = Array.from({ length: 50 }, (_, i) => http(2, { sourceWorkload: `w${i}`, status: i % 2 ? 200 : 503 }));
  ledger.add("p", report("a", { http: many }));
  expect(requests(ledger)).toBe(100);
  expect([...ledger.http].length).toBeLessThanOrEqual(5 + 2);
  expect(ledger.seriesFolded).toBe(45);
});

test.each([
  ["nothing seen", [], 0.5, 0],
  ["all in one bucket", [[3, 100]], 0.5, 7.5],
  [
    "the slowest one of a hundred",
    [
      [3, 99],
      [9, 1],
    ],
    0.995,
    750,
  ],
  ["beyond the last bound", [[bucketCount - 1, 1]], 0.99, 3_600_000],
] as const)("quantile: %s", (_why, filled, q, expected) => {
  const buckets = new Array<number>(bucketCount).fill(0);
  for (const [i, n] of filled) buckets[i] = n;
  expect(quantileMs(buckets, q)).toBeCloseTo(expected, 0);
});

test("the last ten seconds give rates per edge, and an edge with old traffic goes quiet but keeps its count", () => {
  const telemetry = openTelemetry(() => clock);
  let clock = 100_000;
  telemetry.add("p", report("a", { http: [http(0)] }), false);
  for (let second = 1; second <= 10; second++) {
    clock += 1_000;
    telemetry.add("p", report("a", { http: [http(50 * second), http(second, { status: 503, flags: "UH" })] }), false);
  }
  const [edge] = telemetry.traffic.edges(clock);
  expect(edge).toMatchObject({ from: "website", to: "payment", version: "v1", requests: 510, errors: 10 });
  expect(edge?.rps).toBeCloseTo(51, 0);
  expect(edge?.errorRatio).toBeCloseTo(1 / 51, 3);
  clock += 20_000;
  expect(telemetry.traffic.edges(clock)[0]).toMatchObject({ requests: 510, rps: 0, errorRatio: 0 });
  const at = clock - 20_000;
  expect(telemetry.traffic.service("payment", clock).lastError).toEqual({ text: "503 UH to website", at });
  clock = at + 299_999;
  expect(telemetry.traffic.service("payment", clock).lastError).not.toBeNull();
  clock = at + 300_000;
  expect(telemetry.traffic.service("payment", clock).lastError).toBeNull();
});

test("a request between two sidecars is counted once, and its mTLS is judged by the receiver", () => {
  const telemetry = openTelemetry(() => 5_000);
  telemetry.add("p", report("a", { http: [http(30)] }), false);
  const received = [http(30, { reporter: "destination", security: "mutual_tls" })];
  telemetry.add("q", report("b", { http: received }), false);
  const edges = telemetry.traffic.edges(5_000);
  expect(edges.map(({ requests: n }) => n)).toEqual([30]);
  expect(edges[0]?.mtlsRatio).toBe(1);
});

test("a plaintext request from outside is counted by its receiver and lowers the mTLS share", () => {
  const telemetry = openTelemetry(() => 5_000);
  telemetry.add("p", report("a", { http: [http(30)] }), false);
  const inside = http(30, { reporter: "destination", security: "mutual_tls" });
  const outside = http(10, {
    reporter: "destination",
    security: "none",
    ...stranger,
  });
  telemetry.add("q", report("b", { http: [inside, outside] }), false);
  expect(telemetry.traffic.totals(5_000)).toMatchObject({ mtlsRatio: 0.75, rps: 40 });
});

test("a plaintext request between two sidecars is on one edge, its caller's", () => {
  const telemetry = openTelemetry(() => 5_000);
  telemetry.add(
    "p",
    report("a", { http: [http(30, { security: "none" })], tcp: [tcp(2, { security: "none" })] }),
    false,
  );
  const same = { ...stranger, sourceWorkload: "website-1", reporter: "destination", security: "none" } as const;
  telemetry.add("q", report("b", { http: [http(30, same)], tcp: [tcp(2, same)] }), false);
  const edges = telemetry.traffic.edges(5_000);
  expect(edges.map(({ from, protocol, requests: n, mtlsRatio }) => [from, protocol, n, mtlsRatio])).toEqual([
    ["website", "http", 30, 0],
    ["website", "tcp", 2, 0],
  ]);
});

test("each container has its own rates, and what reached none counts for the service", () => {
  const telemetry = openTelemetry(() => 5_000);
  const series = [
    http(90),
    http(6, { destinationVersion: "v2", destinationWorkload: "payment-2" }),
    http(4, { destinationVersion: "v2", destinationWorkload: "payment-2", status: 500 }, 200),
    http(7, { destinationVersion: "unknown", destinationWorkload: "unknown", status: 503 }),
  ];
  telemetry.add("p", report("a", { http: series }), false);
  expect(telemetry.traffic.workload("payment-1", 5_000)).toMatchObject({ rps: 90, errorRatio: 0 });
  expect(telemetry.traffic.workload("payment-2", 5_000)).toMatchObject({ rps: 10, errorRatio: 0.4 });
  expect(telemetry.traffic.workload("payment-2", 5_000).p99Ms).toBeGreaterThan(100);
  expect(telemetry.traffic.workload("unknown", 5_000).rps).toBe(0);
  expect(telemetry.traffic.service("payment", 5_000).rps).toBe(107);
});

test("the seen split is the share of requests that reached each version", () => {
  const telemetry = openTelemetry(() => 5_000);
  const series = [
    http(90),
    http(10, { destinationVersion: "v2" }),
    http(7, { destinationVersion: "unknown", status: 503 }),
  ];
  telemetry.add("p", report("a", { http: series }), false);
  expect(Object.fromEntries(telemetry.traffic.seen("payment", 5_000))).toEqual({ v1: 0.9, v2: 0.1 });
});

test("what an adopted proxy counted before is in the totals, not in the rates", () => {
  const telemetry = openTelemetry(() => 5_000);
  telemetry.add("p", report("a", { http: [http(1_000)] }), true);
  expect(telemetry.traffic.totals(5_000).rps).toBe(0);
  telemetry.add("p", report("a", { http: [http(1_020)] }), false);
  expect(telemetry.traffic.totals(5_000).rps).toBe(20);
  expect(requests(telemetry.ledger)).toBe(1_020);
});

test("growth during a lost channel counts as traffic", () => {
  const telemetry = openTelemetry(() => 5_000);
  telemetry.add("p", report("a", { http: [http(10)] }), false);
  telemetry.add("p", report("a", { http: [http(30)] }), true);
  expect(telemetry.traffic.totals(5_000).rps).toBe(30);
});

async function scrape(telemetry: ReturnType<typeof openTelemetry>): Promise<string[]> {
  const registry = meshRegistry({
    ledger: telemetry.ledger,
    mesh: "shop",
    proxies: () => [
      { workload: "cart-1", kind: "sidecar", isReady: true, isSynced: false, counters: telemetry.counters("p") },
    ],
    bypass: () => ({
      edges: [
        {
          from: "web",
          to: "stats",
          cause: "udp",
          verdict: "passed",
          protocol: "udp",
          port: 5000,
          bytes: 66,
          connections: 2,
        },
      ],
      unread: ["cart-1"],
    }),
    daemon: () => ({ revision: 7, reloads: 9, configErrors: 0, uptimeMs: 2_000 }),
  });
  return (await registry.metrics()).split("\n");
}

test("a scrape shows Istio's names with all its labels, and a count equal to the load", async () => {
  const telemetry = openTelemetry(() => 0);
  telemetry.add("p", report("a", { http: [http(812)], tcp: [tcp(3, { closed: 2 })] }), false);
  const lines = await scrape(telemetry);
  const total = lines.find((line) => line.startsWith("istio_requests_total{"));
  expect(total).toMatch(/} 812$/);
  for (const label of [
    'reporter="source"',
    'source_workload="website-1"',
    'source_workload_namespace="shop"',
    'source_principal="spiffe://cluster.local/ns/shop/sa/website"',
    'source_app="website"',
    'source_version="unknown"',
    'source_canonical_service="website"',
    'source_canonical_revision="latest"',
    'destination_service="payment.shop.svc.cluster.local"',
    'destination_service_name="payment"',
    'destination_service_namespace="shop"',
    'destination_version="v1"',
    'request_protocol="http"',
    'response_code="200"',
    'grpc_response_status=""',
    'response_flags="-"',
    'connection_security_policy="unknown"',
  ]) {
    expect(total).toContain(label);
  }
  const opened = lines.find((line) => line.startsWith("istio_tcp_connections_opened_total{"));
  expect(opened).toMatch(/request_protocol="tcp"} 3$/);
  expect(opened).not.toContain("response_code");
  expect(lines).toContain('devmesh_proxy_cpu_seconds_total{workload="cart-1",kind="sidecar"} 6');
  expect(lines).toContain("devmesh_config_revision 7");
});

test("a histogram's buckets are cumulative and end at +Inf with the count", async () => {
  const telemetry = openTelemetry(() => 0);
  telemetry.add("p", report("a", { http: [http(4, {}, 3), http(6, { status: 500 }, 700)] }), false);
  const lines = (await scrape(telemetry)).filter((line) => line.includes('response_code="500"'));
  const bucket = (le: string) =>
    lines.find((line) => line.includes(`_milliseconds_bucket`) && line.includes(`le="${le}"`));
  expect(bucket("500")).toMatch(/} 0$/);
  expect(bucket("1000")).toMatch(/} 6$/);
  expect(bucket("+Inf")).toMatch(/} 6$/);
  expect(lines.find((line) => line.startsWith("istio_request_duration_milliseconds_sum"))).toMatch(/} 4200$/);
});

test("a passthrough destination keeps Istio's cluster name", async () => {
  const telemetry = openTelemetry(() => 0);
  telemetry.add("p", report("a", { http: [http(1, { destinationService: "PassthroughCluster" })] }), false);
  const total = (await scrape(telemetry)).find((line) => line.startsWith("istio_requests_total{"));
  expect(total).toContain('destination_service="PassthroughCluster"');
  expect(total).toContain('destination_service_namespace="unknown"');
});

test("a scrape shows what went past the proxies, by edge and cause", async () => {
  const lines = await scrape(openTelemetry(() => 0));
  const labels = '{source="web",destination="stats",cause="udp",verdict="passed",protocol="udp",port="5000"}';
  expect(lines).toContain(`devmesh_bypass_bytes_total${labels} 66`);
  expect(lines).toContain(`devmesh_bypass_connections_total${labels} 2`);
  expect(lines).toContain("devmesh_bypass_unread 1");
});
