// Reports as proxies send them, with everything defaulted that a test does not speak of.
import { bucketCount } from "../../../daemon/telemetry/quantile.ts";
import {
  durationBucketsMs,
  type Edge,
  type HttpSeries,
  type Report,
  type TcpSeries,
} from "../../../proxy/contract/report.ts";

const edge: Edge = {
  reporter: "source",
  sourceWorkload: "website-1",
  sourceService: "website",
  sourceVersion: "unknown",
  sourcePrincipal: "spiffe://cluster.local/ns/shop/sa/website",
  destinationWorkload: "payment-1",
  destinationService: "payment",
  destinationVersion: "v1",
  destinationPrincipal: "spiffe://cluster.local/ns/shop/sa/payment",
  security: "unknown",
  flags: "-",
};

/** `count` requests that took `ms` each. */
export function http(count: number, change: Partial<HttpSeries> = {}, ms = 3): HttpSeries {
  const buckets = new Array<number>(bucketCount).fill(0);
  const index = durationBucketsMs.findIndex((bound) => ms <= bound);
  buckets[index === -1 ? bucketCount - 1 : index] = count;
  return {
    ...edge,
    protocol: "http",
    status: 200,
    buckets,
    sumMs: count * ms,
    requestBytes: count * 10,
    responseBytes: count * 100,
    retries: 0,
    ...change,
  };
}

export function tcp(opened: number, change: Partial<TcpSeries> = {}): TcpSeries {
  return { ...edge, opened, closed: 0, sentBytes: opened * 7, receivedBytes: opened * 3, ...change };
}

export function report(boot: string, series: { http?: HttpSeries[]; tcp?: TcpSeries[] } = {}): Report {
  return {
    boot,
    http: series.http ?? [],
    tcp: series.tcp ?? [],
    proxy: { loopsClosed: 1, reportsDropped: 2, seriesDropped: 3, connectionsOpen: 4, rssBytes: 5, cpuUs: 6_000_000 },
  };
}
