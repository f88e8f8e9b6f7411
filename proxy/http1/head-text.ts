// Heads as they go on the wire: one string each, fields untouched, framing and Connection written anew for this hop.
import type { RequestHead, ResponseHead } from "../http/message.ts";

/** How the body of an outgoing message is delimited. */
export type OutgoingFraming = "none" | "length" | "chunked" | "close" | "raw";

/** Methods whose requests say `Content-Length: 0` when there is no body (RFC 9110 8.6). */
function expectsContent(method: string): boolean {
  return method === "POST" || method === "PUT" || method === "PATCH";
}

export function requestText(head: RequestHead, hasBody: boolean, isAbsoluteForm: boolean): string {
  const path = isAbsoluteForm && head.target !== "*" ? `${head.scheme}://${head.authority}${head.target}` : head.target;
  let text = `${head.method} ${path} HTTP/1.1\r\nHost: ${head.authority}\r\n`;
  const { list } = head.fields;
  let connection = "";
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i] ?? "";
    // RFC 9110 10.1.4: whoever sends TE names it in Connection.
    if (name.length === 2 && name.toLowerCase() === "te") connection = "TE";
    text += `${name}: ${list[i + 1]}\r\n`;
  }
  if (head.upgrade !== null) {
    text += `Upgrade: ${head.upgrade}\r\n`;
    connection = connection === "" ? "Upgrade" : "Upgrade, TE";
  } else if (!hasBody) {
    if (expectsContent(head.method)) text += "Content-Length: 0\r\n";
  } else {
    text += head.bodyLength < 0 ? "Transfer-Encoding: chunked\r\n" : `Content-Length: ${head.bodyLength}\r\n`;
    if (head.expectsContinue) text += "Expect: 100-continue\r\n";
  }
  return connection === "" ? `${text}\r\n` : `${text}Connection: ${connection}\r\n\r\n`;
}

export interface ResponseWish {
  readonly framing: OutgoingFraming;
  /** "" writes no Connection field. */
  readonly connection: "" | "close" | "keep-alive";
  /** For a 101. */
  readonly upgrade: string | null;
}

export function responseText(head: ResponseHead, wish: ResponseWish): string {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  const { list } = head.fields;
  for (let i = 0; i < list.length; i += 2) text += `${list[i]}: ${list[i + 1]}\r\n`;
  if (wish.framing === "raw") return `${text}Connection: Upgrade\r\nUpgrade: ${wish.upgrade}\r\n\r\n`;
  if (wish.framing === "length") text += `Content-Length: ${head.bodyLength}\r\n`;
  else if (wish.framing === "chunked") text += "Transfer-Encoding: chunked\r\n";
  else if (wish.framing === "none" && head.declaredLength >= 0) text += `Content-Length: ${head.declaredLength}\r\n`;
  return wish.connection === "" ? `${text}\r\n` : `${text}Connection: ${wish.connection}\r\n\r\n`;
}

/** A 1xx other than 101: no framing, no Connection. */
export function informationalText(head: ResponseHead): string {
  let text = `HTTP/1.1 ${head.status} ${head.reason}\r\n`;
  const { list } = head.fields;
  for (let i = 0; i < list.length; i += 2) text += `${list[i]}: ${list[i + 1]}\r\n`;
  return `${text}\r\n`;
}
