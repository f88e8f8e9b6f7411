import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { failure } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import { sourceEdge } from "../../../proxy/route/edges.ts";
import { type Outcome, recordRequest } from "../../../proxy/route/record.ts";
import { AccessLog } from "../../../proxy/telemetry/access-log.ts";
import { Counters } from "../../../proxy/telemetry/counters.ts";
import { node, serviceIn, tableOf } from "./config.ts";
import { Client, requestHead } from "./scripted.ts";

function record(fields: string[], parts: Partial<Outcome> = {}) {
  const service = serviceIn(tableOf(), "payment");
  const edge = sourceEdge(node, { service, workload: "p1", version: "v1", flags: parts.failure?.flag ?? "-" });
  let text = "";
  const out = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      text += chunk;
      done();
    },
  });
  const [counters, log] = [new Counters("b"), new AccessLog(out)];
  const outcome: Outcome = {
    edge,
    cluster: "outbound|8080||payment.shop.svc.cluster.local",
    routeName: "default",
    upstreamHost: "10.99.0.97",
    status: 200,
    failure: null,
    startMs: 0,
    durationMs: 12,
    requestBytes: 3,
    responseBytes: 4,
    retries: 1,
    ...parts,
  };
  recordRequest(new Client(requestHead({ fields: new Fields(fields) })), outcome, { counters, log });
  log.flush();
  return { series: counters.report().http, text };
}

test("a request is one observation and one line", () => {
  const { series, text } = record(["X-Request-Id", "id-1", "User-Agent", "curl"]);
  expect(series).toMatchObject([
    { status: 200, protocol: "http", sumMs: 12, requestBytes: 3, responseBytes: 4, retries: 1, flags: "-" },
  ]);
  expect(text).toContain('"GET / HTTP/1.1" 200 - via_upstream - "-" 3 4 12 - "-" "curl" "id-1" "payment"');
  expect(text.trimEnd().split("\n").length).toBe(1);
});

test("gRPC is told by its content type", () => {
  expect(record(["content-type", "application/grpc+proto"]).series).toMatchObject([{ protocol: "grpc" }]);
  expect(record(["content-type", "text/plain; x=application/grpc"]).series).toMatchObject([{ protocol: "http" }]);
});

test("what the proxy has to say is in the line", () => {
  const { text } = record([], { status: 503, failure: failure("UH", 503, "no_healthy_upstream", "nobody is there") });
  expect(text).toContain(" 503 UH no_healthy_upstream ");
  expect(text).toContain('reason="nobody is there"');
});
