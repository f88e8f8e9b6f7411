// How long a message's body is, from its Content-Length and Transfer-Encoding (RFC 9112 6.3), as strictly as the RFC allows.
import { isTokenText, trimBlanks } from "./bytes.ts";
import type { FieldSection } from "./field-section.ts";
import { type Rejection, rejections } from "./rejection.ts";

/** `length` 0 is an empty body; -1: chunked; -2: the fields say nothing. */
export const chunked = -1;
export const unsaid = -2;

/** 15 digits stay below 2^53, so that no length is ever rounded. */
const lengthDigitsMax = 15;

export function bodyLengthOf(
  section: FieldSection,
  kind: { readonly isHttp10: boolean; readonly isResponse: boolean },
): number | Rejection {
  if (section.transferEncodingCount > 0) {
    if (kind.isHttp10) return rejections.codingOn10;
    if (section.contentLengthCount > 0) return rejections.lengthAndCoding;
    return section.transferEncodingCount > 1 ? rejections.coding : codingOf(section, kind.isResponse);
  }
  if (section.contentLengthCount === 0) return unsaid;
  if (section.contentLengthCount > 1) return rejections.lengthRepeated;
  return lengthOf(section.contentLength ?? "");
}

/** Requests must spell it `chunked`; servers that write `Chunked` exist, and a response's framing is made anew anyway. */
function codingOf(section: FieldSection, isResponse: boolean): number | Rejection {
  const coding = section.transferEncoding ?? "";
  if (coding === "chunked") return chunked;
  const lower = coding.toLowerCase();
  if (lower === "chunked") return isResponse ? chunked : rejections.coding;
  const members = lower.split(",").map(trimBlanks);
  if (!members.every(isTokenText)) return rejections.coding;
  const last = members.indexOf("chunked");
  return last === -1 || (last === members.length - 1 && members.length > 1)
    ? rejections.codingUnknown
    : rejections.coding;
}

/** Digits and nothing else: Number() and parseInt() take signs, blanks, hex, exponents and prefixes. Leading zeros are counted out. */
export function lengthOf(text: string): number | Rejection {
  if (text.length === 0 || text.length > lengthDigitsMax) return rejections.length;
  let value = 0;
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48;
    if (digit < 0 || digit > 9) return rejections.length;
    value = value * 10 + digit;
  }
  return value;
}
