// An exchange that is over becomes one observation and one line of the access log.
import type { Failure } from "../http/failure.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Exchange } from "./exchange.ts";

export function recordExchange(
  exchange: Exchange,
  outcome: { flags: string; reason: Failure | null },
  deps: { counters: Counters; log: AccessLog },
): void {
  const { stream, routing, status, durationMs, requestBytes, responseBytes } = exchange;
  const target = exchange.tried.at(-1) ?? null;
  const { fields } = stream.head;
  const isGrpc = fields.get("content-type")?.startsWith("application/grpc") === true;
  deps.counters.observe({
    edge: routing.edge(target, outcome.flags),
    protocol: isGrpc ? "grpc" : "http",
    status,
    durationMs,
    requestBytes,
    responseBytes,
    retries: exchange.retries,
  });
  deps.log.request({
    startMs: exchange.startMs,
    method: stream.head.method,
    path: stream.head.target,
    protocol: stream.head.protocol,
    status,
    flags: outcome.flags,
    details: outcome.reason?.detail ?? "via_upstream",
    bytesReceived: requestBytes,
    bytesSent: responseBytes,
    durationMs,
    forwardedFor: fields.get("x-forwarded-for") ?? "-",
    userAgent: fields.get("user-agent") ?? "-",
    requestId: fields.get("x-request-id") ?? "-",
    authority: stream.head.authority,
    upstreamHost: target?.host ?? "-",
    upstreamCluster: routing.cluster,
    downstreamRemote: stream.peer.address,
    routeName: routing.routeName,
    reason: outcome.reason?.reason ?? "",
  });
}
