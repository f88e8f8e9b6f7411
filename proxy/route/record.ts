// A request that is over becomes one observation and one line of the access log.
import type { Edge } from "../contract/report.ts";
import type { Failure } from "../http/failure.ts";
import type { ServerStream } from "../http/stream.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Counters } from "../telemetry/counters.ts";

export interface Outcome {
  readonly edge: Edge;
  /** Envoy's cluster name, or "-". */
  readonly cluster: string;
  readonly routeName: string;
  readonly upstreamHost: string;
  /** 0 when the client was gone before any. */
  readonly status: number;
  /** What the proxy itself has to say about it; null when the answer is the application's. */
  readonly failure: Failure | null;
  /** Wall clock. */
  readonly startMs: number;
  readonly durationMs: number;
  readonly requestBytes: number;
  readonly responseBytes: number;
  readonly retries: number;
}

export function recordRequest(
  stream: ServerStream,
  outcome: Outcome,
  deps: { readonly counters: Counters; readonly log: AccessLog },
): void {
  const { head, peer } = stream;
  const { fields } = head;
  const { edge, status, durationMs, requestBytes, responseBytes, retries, failure } = outcome;
  const isGrpc = fields.get("content-type")?.startsWith("application/grpc") === true;
  const protocol = isGrpc ? "grpc" : "http";
  deps.counters.observe({ edge, protocol, status, durationMs, requestBytes, responseBytes, retries });
  deps.log.request({
    startMs: outcome.startMs,
    method: head.method,
    path: head.target,
    protocol: head.protocol,
    status,
    flags: edge.flags,
    details: failure?.detail ?? "via_upstream",
    bytesReceived: requestBytes,
    bytesSent: responseBytes,
    durationMs,
    forwardedFor: fields.get("x-forwarded-for") ?? "-",
    userAgent: fields.get("user-agent") ?? "-",
    requestId: fields.get("x-request-id") ?? "-",
    authority: head.authority,
    upstreamHost: outcome.upstreamHost,
    upstreamCluster: outcome.cluster,
    downstreamRemote: peer.address,
    routeName: outcome.routeName,
    reason: failure?.reason ?? "",
  });
}
