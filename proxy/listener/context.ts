// What every listener needs: the table in force, and the parts that outlive it.
import type { Edge } from "../contract/report.ts";
import type { Failure } from "../http/failure.ts";
import type { ServerStream } from "../http/stream.ts";
import { Exchange } from "../route/exchange.ts";
import { recordRequest } from "../route/record.ts";
import { replyTo } from "../route/replies.ts";
import type { Routing } from "../route/routing.ts";
import type { Random } from "../route/split.ts";
import type { Table } from "../route/table.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Identity } from "../tls/identity.ts";
import type { Applications } from "../upstream/application.ts";
import type { Endpoints } from "../upstream/endpoints.ts";

export interface ProxyContext {
  /** The table in force. Only called once a first one is there. */
  readonly table: () => Table;
  readonly endpoints: Endpoints;
  readonly applications: Applications;
  readonly identity: Identity;
  readonly counters: Counters;
  readonly log: AccessLog;
  readonly random: Random;
}

export function startExchange(context: ProxyContext, stream: ServerStream, routing: Routing): void {
  new Exchange(stream, routing, context).start();
}

/** Answers a request that gets no routing at all; counted and logged as every other. `edge` without flags. */
export function refuseRequest(
  context: ProxyContext,
  stream: ServerStream,
  { reason, edge }: { readonly reason: Failure; readonly edge: Edge },
): void {
  stream.events = { onData: ignore, onEnd: ignore, onAbort: ignore, onDrain: ignore };
  const { head, body } = replyTo(reason);
  stream.respond(head);
  stream.write(body);
  stream.end(null);
  const outcome = {
    edge: { ...edge, flags: reason.flag },
    cluster: "-",
    routeName: "-",
    upstreamHost: "-",
    status: head.status,
    failure: reason,
    startMs: Date.now(),
    durationMs: 0,
    requestBytes: 0,
    responseBytes: stream.head.method === "HEAD" ? 0 : body.length,
    retries: 0,
  };
  recordRequest(stream, outcome, context);
}

function ignore(): void {
  // The rest of a refused request is nobody's.
}
