// The Prometheus side: Istio's metric names and labels from the ledger, and devmesh's own about its proxies and itself.
import { Registry } from "prom-client";
import { durationBucketsMs, type Edge, type ProxyCounters } from "../../proxy/contract/report.ts";
import type { BypassEdge } from "./bypass-ledger.ts";
import { type HttpTotal, type Ledger, requestsOf, type TcpTotal } from "./ledger.ts";

type Labels = Readonly<Record<string, string>>;
interface Sample {
  readonly labels: Labels;
  readonly value: number;
  readonly metricName?: string;
}

export interface ProxyHealth {
  readonly workload: string;
  readonly kind: string;
  readonly isReady: boolean;
  readonly isSynced: boolean;
  readonly counters: ProxyCounters | null;
}

export interface MetricsSource {
  readonly ledger: Ledger;
  readonly mesh: string;
  proxies(): readonly ProxyHealth[];
  bypass(): { readonly edges: readonly BypassEdge[]; readonly unread: readonly unknown[] };
  daemon(): {
    readonly revision: number;
    readonly reloads: number;
    readonly configErrors: number;
    readonly uptimeMs: number;
  };
}

/** A scrape reads the ledger at that moment; nothing is counted twice or kept twice. */
export function meshRegistry(source: MetricsSource): Registry {
  const registry = new Registry();
  const add = (name: string, type: "counter" | "gauge" | "histogram", help: string, collect: () => Sample[]): void => {
    // prom-client's own classes can be fed only by observations; a registry takes anything with this shape.
    const get = async () => ({ name, help, type, aggregator: "sum", values: collect() });
    registry.registerMetric({ name, get } as unknown as Parameters<Registry["registerMetric"]>[0]);
  };
  addHttp(add, source);
  addTcp(add, source);
  addBypass(add, source);
  addOwn(add, source);
  return registry;
}

type Add = (name: string, type: "counter" | "gauge" | "histogram", help: string, collect: () => Sample[]) => void;

function addHttp(add: Add, { ledger, mesh }: MetricsSource): void {
  const labelled = (): { total: HttpTotal; labels: Labels }[] =>
    [...ledger.http].map((total) => ({ total, labels: httpLabels(total, mesh) }));
  add("istio_requests_total", "counter", "Requests, by edge and result.", () =>
    labelled().map(({ total, labels }) => ({ labels, value: requestsOf(total.counts) })),
  );
  add("istio_request_duration_milliseconds", "histogram", "Duration of requests.", () =>
    labelled().flatMap(({ total, labels }) => durationSamples(total, labels)),
  );
  // Proxies report sums of sizes, no distribution: one bucket, which holds everything.
  const sizes = (name: string, help: string, bytesOf: (total: HttpTotal) => number): void =>
    add(name, "histogram", help, () =>
      labelled().flatMap(({ total, labels }) => [
        { metricName: `${name}_bucket`, labels: { ...labels, le: "+Inf" }, value: requestsOf(total.counts) },
        { metricName: `${name}_sum`, labels, value: bytesOf(total) },
        { metricName: `${name}_count`, labels, value: requestsOf(total.counts) },
      ]),
    );
  sizes("istio_request_bytes", "Size of request bodies.", ({ counts }) => counts.requestBytes);
  sizes("istio_response_bytes", "Size of response bodies.", ({ counts }) => counts.responseBytes);
  add("devmesh_retries_total", "counter", "Tries after the first.", () =>
    labelled().map(({ total, labels }) => ({ labels, value: total.counts.retries })),
  );
}

/** Buckets of the exposition format are cumulative. */
function durationSamples({ counts }: HttpTotal, labels: Labels): Sample[] {
  const name = "istio_request_duration_milliseconds";
  let below = 0;
  const samples: Sample[] = counts.buckets.map((n, i) => {
    below += n;
    const bound = durationBucketsMs[i];
    const le = bound === undefined ? "+Inf" : String(bound);
    return { metricName: `${name}_bucket`, labels: { ...labels, le }, value: below };
  });
  samples.push({ metricName: `${name}_sum`, labels, value: counts.sumMs });
  samples.push({ metricName: `${name}_count`, labels, value: below });
  return samples;
}

function addTcp(add: Add, { ledger, mesh }: MetricsSource): void {
  const counter = (name: string, help: string, read: (total: TcpTotal) => number): void =>
    add(name, "counter", help, () =>
      [...ledger.tcp].map((total) => ({
        labels: { ...edgeLabels(total.labels, mesh), request_protocol: "tcp" },
        value: read(total),
      })),
    );
  counter("istio_tcp_connections_opened_total", "Connections opened.", ({ counts }) => counts.opened);
  counter("istio_tcp_connections_closed_total", "Connections closed.", ({ counts }) => counts.closed);
  counter("istio_tcp_sent_bytes_total", "Bytes sent to the caller.", ({ counts }) => counts.sentBytes);
  counter("istio_tcp_received_bytes_total", "Bytes received from the caller.", ({ counts }) => counts.receivedBytes);
}

function addBypass(add: Add, { bypass }: MetricsSource): void {
  const counter = (name: string, help: string, read: (edge: BypassEdge) => number): void =>
    add(name, "counter", help, () =>
      bypass().edges.map((edge) => {
        const { from: source, to: destination, cause, verdict, protocol, port } = edge;
        return { labels: { source, destination, cause, verdict, protocol, port: String(port) }, value: read(edge) };
      }),
    );
  counter("devmesh_bypass_bytes_total", "Bytes that no proxy carried: passed, or cut.", ({ bytes }) => bytes);
  counter("devmesh_bypass_connections_total", "Connections that no proxy carried.", ({ connections }) => connections);
  add("devmesh_bypass_unread", "gauge", "Containers whose bypass could not be counted.", () => [
    { labels: {}, value: bypass().unread.length },
  ]);
}

function addOwn(add: Add, source: MetricsSource): void {
  const perProxy = (name: string, type: "counter" | "gauge", help: string, of: (proxy: ProxyHealth) => number | null) =>
    add(name, type, help, () =>
      source.proxies().flatMap((proxy) => {
        const value = of(proxy);
        return value === null ? [] : [{ labels: { workload: proxy.workload, kind: proxy.kind }, value }];
      }),
    );
  perProxy("devmesh_proxy_ready", "gauge", "1 when the proxy serves.", ({ isReady }) => Number(isReady));
  perProxy("devmesh_proxy_synced", "gauge", "1 when it runs the newest config.", ({ isSynced }) => Number(isSynced));
  const counted = (name: string, type: "counter" | "gauge", help: string, of: (counters: ProxyCounters) => number) =>
    perProxy(name, type, help, ({ counters }) => (counters === null ? null : of(counters)));
  counted("devmesh_proxy_connections_open", "gauge", "Open connections.", (c) => c.connectionsOpen);
  counted("devmesh_proxy_resident_bytes", "gauge", "Resident memory.", (c) => c.rssBytes);
  counted("devmesh_proxy_cpu_seconds_total", "counter", "CPU time.", (c) => c.cpuUs / 1e6);
  counted("devmesh_proxy_loops_closed_total", "counter", "Connections to the proxy's own ports.", (c) => c.loopsClosed);
  counted("devmesh_proxy_reports_dropped_total", "counter", "Reports nobody read.", (c) => c.reportsDropped);
  counted("devmesh_proxy_series_dropped_total", "counter", "Series folded in the proxy.", (c) => c.seriesDropped);
  const one = (name: string, type: "counter" | "gauge", help: string, value: () => number): void =>
    add(name, type, help, () => [{ labels: {}, value: value() }]);
  one("devmesh_config_revision", "gauge", "Grows with every accepted change.", () => source.daemon().revision);
  one(
    "devmesh_config_errors",
    "gauge",
    "Errors that keep mesh.yaml from being applied.",
    () => source.daemon().configErrors,
  );
  one("devmesh_reloads_total", "counter", "Rounds of the reload loop.", () => source.daemon().reloads);
  one("devmesh_series_folded_total", "counter", "Series counted as other.", () => source.ledger.seriesFolded);
  one("devmesh_daemon_uptime_seconds", "gauge", "Since this daemon started.", () => source.daemon().uptimeMs / 1000);
  one("devmesh_daemon_resident_bytes", "gauge", "Resident memory of the daemon.", () => process.memoryUsage.rss());
  one("devmesh_daemon_cpu_seconds_total", "counter", "CPU time of the daemon.", () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  });
}

const unknown = "unknown";
const orUnknown = (value: string): string => (value === "" ? unknown : value);

/** Istio's standard labels. Namespace is the mesh's name; app and canonical names are the service's, as in Istio. */
function edgeLabels(edge: Edge, mesh: string): Record<string, string> {
  const isNamed = /Cluster$/.test(edge.destinationService) || edge.destinationService === unknown;
  const namespace = (service: string): string => (service === unknown || service === "" ? unknown : mesh);
  return {
    reporter: edge.reporter,
    ...sideLabels("source", edge, namespace(edge.sourceService), mesh),
    ...sideLabels("destination", edge, isNamed ? unknown : namespace(edge.destinationService), mesh),
    destination_service: isNamed
      ? orUnknown(edge.destinationService)
      : `${edge.destinationService}.${mesh}.svc.cluster.local`,
    destination_service_name: orUnknown(edge.destinationService),
    destination_service_namespace: isNamed ? unknown : namespace(edge.destinationService),
    response_flags: edge.flags === "" ? "-" : edge.flags,
    connection_security_policy: edge.security,
  };
}

function sideLabels(
  side: "source" | "destination",
  edge: Edge,
  namespace: string,
  mesh: string,
): Record<string, string> {
  const service = orUnknown(edge[`${side}Service`]);
  const version = orUnknown(edge[`${side}Version`]);
  const app = namespace === unknown ? unknown : service;
  return {
    [`${side}_workload`]: orUnknown(edge[`${side}Workload`]),
    [`${side}_workload_namespace`]: namespace,
    [`${side}_principal`]: orUnknown(edge[`${side}Principal`]),
    [`${side}_app`]: app,
    [`${side}_version`]: version,
    [`${side}_cluster`]: namespace === unknown ? unknown : mesh,
    [`${side}_canonical_service`]: app,
    [`${side}_canonical_revision`]: version === unknown && app !== unknown ? "latest" : version,
  };
}

function httpLabels({ labels }: HttpTotal, mesh: string): Labels {
  return {
    ...edgeLabels(labels, mesh),
    request_protocol: labels.protocol,
    response_code: String(labels.status),
    // Proxies do not report gRPC's own status yet; for HTTP Istio leaves the label empty.
    grpc_response_status: labels.protocol === "grpc" ? unknown : "",
  };
}
