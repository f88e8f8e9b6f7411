// The one place where a failure becomes a reply: status, Envoy's flag and a sentence, for people and for programs.

import type { Failure } from "../http/failure.ts";
import { Fields } from "../http/fields.ts";
import type { ResponseHead } from "../http/message.ts";

/** Envoy's %RESPONSE_FLAGS% of a reply that a proxy made itself. */
export const flagsHeader = "x-devmesh-response-flags";
/** Why, in plain English. */
export const reasonHeader = "x-devmesh-reason";

const reasonPhrases: Readonly<Record<number, string>> = {
  400: "Bad Request",
  403: "Forbidden",
  404: "Not Found",
  408: "Request Timeout",
  413: "Content Too Large",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
  504: "Gateway Timeout",
};

/** Head and body of the reply. The body says the same as the header, for whoever looks at it with curl. */
export function replyTo(failure: Failure): { head: ResponseHead; body: Buffer } {
  const prefix = failure.status === 403 ? "RBAC: access denied" : (reasonPhrases[failure.status] ?? "Error");
  const body = Buffer.from(`${prefix}: ${failure.reason}\n`, "utf8");
  const fields = new Fields([
    "content-type",
    "text/plain; charset=utf-8",
    "server",
    "devmesh",
    flagsHeader,
    failure.flag,
    reasonHeader,
    headerSafe(failure.reason),
  ]);
  const head: ResponseHead = {
    status: failure.status,
    reason: reasonPhrases[failure.status] ?? "Error",
    fields,
    bodyLength: body.length,
    declaredLength: body.length,
  };
  return { head, body };
}

/** Reasons quote what the user wrote and peers sent: nothing but printable ASCII may get into a header. */
function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, "?").slice(0, 1024);
}
