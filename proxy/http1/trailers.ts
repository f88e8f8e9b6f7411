// Which fields may come after a body: never those that frame, route, authenticate or describe the content (RFC 9110 6.5.1),
// because the decisions that they belong to were made when the head was read.

const forbidden = new Set([
  "age",
  "authorization",
  "cache-control",
  "connection",
  "cookie",
  "date",
  "expect",
  "expires",
  "forwarded",
  "host",
  "http2-settings",
  "keep-alive",
  "location",
  "max-forwards",
  "origin",
  "pragma",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "range",
  "referer",
  "retry-after",
  "set-cookie",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "vary",
  "via",
  "warning",
  "www-authenticate",
  "x-request-id",
  "traceparent",
  "tracestate",
]);
const forbiddenPrefixes = ["content-", "if-", "access-control-", "sec-", "x-forwarded-", "x-envoy-", "x-devmesh-"];

/** `lower` is a field name in lower case. A forbidden one is dropped; the message is not refused for it. */
export function isForbiddenTrailer(lower: string): boolean {
  return forbidden.has(lower) || forbiddenPrefixes.some((prefix) => lower.startsWith(prefix));
}
