// Heads and trailers as text: lines in a fixed order, then name and value lines by turns. A line break can be in no value,
// so nothing that a client sends can add a line; whoever writes checks that, and whoever reads checks the rest.
import { Fields } from "../http/fields.ts";
import type { RequestHead, ResponseHead } from "../http/message.ts";
import type { OutgoingRequest } from "../http/stream.ts";
import { InnerViolation } from "./frames.ts";

export type Destination = OutgoingRequest["destination"];

/** What a value must not have: line breaks, NUL, and what latin1 would cut to something else (U+010A becomes LF). */
const unsafe = /[\0\r\n\u0100-\uffff]/;
const token = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const originForm = /^(?:\/[\x21\x22\x24-\x7e]*|\*)$/;
const authorityForm = /^[\x21-\x7e]*$/;
const protocolForm = /^HTTP\/(?:1\.[01]|2|3)$/;
const serviceForm = /^[\x21-\x7e]{1,255}$/;
const versionForm = /^[\x21-\x7e]{0,255}$/;
const decimal = /^(?:-1|0|[1-9][0-9]{0,15})$/;
const requestLines = 10;
const responseLines = 4;

/** Framing and routing are this protocol's own business; a field of this name from a peer would reach the application's parser. */
const forbiddenNames = new Set([
  "connection",
  "content-length",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** What became of a head that was framed well: the value, or why it is not one. */
export type Decoded<T> =
  | { readonly kind: "head"; readonly value: T }
  | { readonly kind: "malformed"; readonly reason: string };

/** Null when a part has bytes that no head may have: the caller fails this one stream. */
export function requestText(request: OutgoingRequest): string | null {
  const { head, destination } = request;
  const { fields } = head;
  const version = destination.version ?? "";
  const { method, target, authority, scheme, protocol, bodyLength } = head;
  if (unsafe.test(method) || unsafe.test(target) || unsafe.test(authority) || unsafe.test(protocol)) return null;
  if (unsafe.test(destination.service) || unsafe.test(version)) return null;
  const start = `${method}\n${target}\n${authority}\n${scheme}\n${protocol}\n${request.hasBody ? bodyLength : 0}`;
  return appendFields(
    `${start}\n${head.expectsContinue ? 1 : 0}\n${destination.service}\n${destination.port}\n${version}`,
    fields,
  );
}

export function responseText(head: ResponseHead): string | null {
  if (unsafe.test(head.reason)) return null;
  return appendFields(`${head.status}\n${head.reason}\n${head.bodyLength}\n${head.declaredLength}`, head.fields);
}

/** "" for no trailers. */
export function trailersText(trailers: Fields): string | null {
  return appendFields("", trailers)?.slice(1) ?? null;
}

/** Throws InnerViolation when the text cannot be a head at all. */
export function decodeRequest(
  payload: Buffer,
  fieldsMax: number,
): Decoded<{ readonly head: RequestHead; readonly destination: Destination }> {
  const lines = linesOf(payload, requestLines, fieldsMax);
  const [method = "", target = "", authority = "", scheme = "", protocol = ""] = lines;
  const [length = "", expects = "", service = "", portText = "", version = ""] = lines.slice(5, requestLines);
  if (!token.test(method) || method === "CONNECT") return malformed("its method is not one that may be forwarded");
  if (!originForm.test(target) || (target === "*" && method !== "OPTIONS"))
    return malformed("its target is not a path");
  if (!authorityForm.test(authority)) return malformed("its authority is not a host");
  if (scheme !== "http" && scheme !== "https") return malformed("its scheme is neither http nor https");
  if (!protocolForm.test(protocol)) return malformed("its protocol is not a version of HTTP");
  if (!decimal.test(length)) return malformed("its body length is not a number");
  if (expects !== "0" && expects !== "1") return malformed("its expectation is neither 0 nor 1");
  const port = decimal.test(portText) ? Number(portText) : 0;
  if (!serviceForm.test(service) || port < 1 || port > 65535) return malformed("it does not name a service and a port");
  if (!versionForm.test(version)) return malformed("its version is not a name");
  const list = lines.slice(requestLines);
  const wrong = wrongField(list);
  if (wrong !== null) return malformed(wrong);
  const head: RequestHead = {
    method,
    target,
    authority,
    scheme,
    fields: new Fields(list),
    bodyLength: Number(length),
    upgrade: null,
    expectsContinue: expects === "1",
    protocol,
  };
  return { kind: "head", value: { head, destination: { service, port, version: version === "" ? null : version } } };
}

/** Throws InnerViolation when the text cannot be a head at all. */
export function decodeResponse(payload: Buffer, fieldsMax: number): Decoded<ResponseHead> {
  const lines = linesOf(payload, responseLines, fieldsMax);
  const [statusText = "", reason = "", length = "", declared = ""] = lines;
  const status = decimal.test(statusText) ? Number(statusText) : 0;
  if (status < 100 || status > 999) return malformed("its status is not one of HTTP's");
  if (!decimal.test(length) || !decimal.test(declared)) return malformed("its length is not a number");
  const list = lines.slice(responseLines);
  const wrong = wrongField(list);
  if (wrong !== null) return malformed(wrong);
  const fields = new Fields(list);
  return {
    kind: "head",
    value: { status, reason, fields, bodyLength: Number(length), declaredLength: Number(declared) },
  };
}

/** Throws InnerViolation when the text cannot be trailers at all. */
export function decodeTrailers(payload: Buffer, fieldsMax: number): Decoded<Fields | null> {
  if (payload.length === 0) return { kind: "head", value: null };
  const list = linesOf(payload, 0, fieldsMax);
  const wrong = wrongField(list);
  return wrong === null ? { kind: "head", value: new Fields(list) } : malformed(wrong);
}

function appendFields(start: string, fields: Fields): string | null {
  const { list } = fields;
  let text = start;
  for (let i = 0; i < list.length; i++) {
    const part = list[i] ?? "";
    if (unsafe.test(part)) return null;
    text += `\n${part}`;
  }
  return text;
}

function linesOf(payload: Buffer, fixed: number, fieldsMax: number): string[] {
  const text = payload.toString("latin1");
  if (text.includes("\0") || text.includes("\r")) throw new InnerViolation("head-malformed", "a head has a CR or NUL");
  const lines = text.split("\n", fixed + fieldsMax * 2 + 1);
  const rest = lines.length - fixed;
  if (rest > fieldsMax * 2) throw new InnerViolation("head-malformed", `a head has more than ${fieldsMax} fields`);
  if (rest < 0 || rest % 2 !== 0) throw new InnerViolation("head-malformed", `a head has ${lines.length} lines`);
  return lines;
}

function malformed(reason: string): { readonly kind: "malformed"; readonly reason: string } {
  return { kind: "malformed", reason };
}

const namesKnownMax = 1024;
/** Names repeat, so that each is judged once. */
const namesKnown = new Map<string, boolean>();

function wrongField(list: readonly string[]): string | null {
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] ?? "";
    if (!(namesKnown.get(name) ?? judgeName(name))) return "one of its fields has a name that may not be forwarded";
  }
  return null;
}

function judgeName(name: string): boolean {
  const isGood = token.test(name) && !forbiddenNames.has(name.toLowerCase());
  if (namesKnown.size < namesKnownMax && name.length <= 64) namesKnown.set(name, isGood);
  return isGood;
}
