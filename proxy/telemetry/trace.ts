// Request ids and W3C trace context: started where there is none, continued where there is.
// https://www.w3.org/TR/trace-context/#traceparent-header
import { randomBytes } from "node:crypto";
import type { Fields } from "../http/fields.ts";

/** Random bytes are drawn in blocks: one call of the generator costs as much as a whole header. */
const pool = { bytes: Buffer.alloc(0), next: 0 };
const poolBytes = 4096;

export function randomHex(bytes: number): string {
  if (pool.next + bytes > pool.bytes.length) {
    pool.bytes = randomBytes(poolBytes);
    pool.next = 0;
  }
  const text = pool.bytes.toString("hex", pool.next, pool.next + bytes);
  pool.next += bytes;
  return text;
}

/** A version 4 UUID. */
export function requestId(): string {
  const hex = randomHex(16);
  const variant = ((Number.parseInt(hex.charAt(16), 16) & 0x3) | 0x8).toString(16);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

/** Gives the request an x-request-id and a traceparent whose parent is this hop; returns the request id. */
export function continueTrace(fields: Fields): string {
  let id = fields.get("x-request-id");
  if (id === undefined || id === "") {
    id = requestId();
    fields.set("x-request-id", id);
  }
  const parent = traceparentForm.exec(fields.get("traceparent") ?? "");
  const isValid =
    parent !== null &&
    parent[1] !== "ff" &&
    !(parent[1] === "00" && parent[5] !== undefined) &&
    !/^0+$/.test(parent[2] ?? "0") &&
    !/^0+$/.test(parent[3] ?? "0");
  if (isValid) {
    fields.set("traceparent", `00-${parent[2]}-${randomHex(8)}-${parent[4]}`);
  } else {
    fields.set("traceparent", `00-${randomHex(16)}-${randomHex(8)}-01`);
    // A tracestate without a valid traceparent belongs to no trace (W3C 3.2.2.5).
    fields.remove("tracestate");
  }
  return id;
}
