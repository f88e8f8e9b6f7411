// What every service hands on from the request it serves to the requests that it makes: this, and nothing else,
// is what a mesh needs from an application to show one request's way through all services.
import type { IncomingHttpHeaders } from "node:http";

const traceHeaders = [
  "x-request-id",
  "traceparent",
  "tracestate",
  "baggage",
  "b3",
  "x-b3-traceid",
  "x-b3-spanid",
  "x-b3-parentspanid",
  "x-b3-sampled",
  "x-b3-flags",
  // The shop's own: a beta tester's choice has to reach the service that routes by it.
  "x-beta",
];

export type TraceHeaders = Readonly<Record<string, string>>;

export function traceOf(headers: IncomingHttpHeaders): TraceHeaders {
  const found: Record<string, string> = {};
  for (const name of traceHeaders) {
    const value = headers[name];
    if (typeof value === "string") found[name] = value;
  }
  return found;
}
