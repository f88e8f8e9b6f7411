// The reply to a request that never became one. Every other reply of the proxy is made where failures are turned into replies.
import type { Failure } from "../http/failure.ts";

const phrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  414: "URI Too Long",
  417: "Expectation Failed",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
};

/** Head and body. The reason goes into a header: the codec's own sentences hold no byte of the peer. */
export function errorReplyText(failure: Failure): string {
  const body = `${failure.reason}\n`;
  const allow = failure.status === 405 ? "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "";
  return (
    `HTTP/1.1 ${failure.status} ${phrases[failure.status] ?? "Error"}\r\n` +
    `Content-Type: text/plain; charset=utf-8\r\nContent-Length: ${body.length}\r\n${allow}` +
    `x-devmesh-response-flags: ${failure.flag}\r\nx-devmesh-reason: ${failure.reason}\r\nConnection: close\r\n\r\n${body}`
  );
}
