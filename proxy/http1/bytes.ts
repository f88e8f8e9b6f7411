// Which bytes may stand where, as tables: one look-up a byte, the same for every caller, no regular expression.

export const CR = 13;
export const LF = 10;
export const SP = 32;
export const HTAB = 9;
export const COLON = 58;

const tchar = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

function table(allows: (byte: number) => boolean): Uint8Array {
  const result = new Uint8Array(256);
  for (let byte = 0; byte < 256; byte++) result[byte] = allows(byte) ? 1 : 0;
  return result;
}

/** RFC 9110 5.6.2: token. */
const tokens = table((byte) => tchar.includes(String.fromCharCode(byte)));
/** RFC 9110 5.5: field-value with its inner blanks. CR, LF, NUL and every other control byte are out. */
const values = table((byte) => byte === HTAB || (byte >= SP && byte !== 127));
/** Request target: visible ASCII without the fragment sign (RFC 9112 3.2 has no fragment in any form). */
const targets = table((byte) => byte > SP && byte < 127 && byte !== 35);
/** Host names and IPv4 addresses as they are met: narrower than RFC 3986's reg-name, which takes commas and percent signs. */
const hosts = table((byte) => /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)));

export function byteAt(bytes: Uint8Array, index: number): number {
  return bytes[index] as number;
}

export function isToken(byte: number): boolean {
  return tokens[byte] === 1;
}

export function isValue(byte: number): boolean {
  return values[byte] === 1;
}

export function isTarget(byte: number): boolean {
  return targets[byte] === 1;
}

export function isHost(byte: number): boolean {
  return hosts[byte] === 1;
}

export function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

/** The value of a hexadecimal digit, or -1. */
export function hexDigit(byte: number): number {
  if (byte >= 48 && byte <= 57) return byte - 48;
  if (byte >= 97 && byte <= 102) return byte - 87;
  if (byte >= 65 && byte <= 70) return byte - 55;
  return -1;
}

export function isTokenText(text: string): boolean {
  if (text.length === 0) return false;
  for (let i = 0; i < text.length; i++) if (!isToken(text.charCodeAt(i))) return false;
  return true;
}

/** Without blanks at both ends. Only SP and HTAB: trim() also takes U+00A0 and U+FEFF, which are data here. */
export function trimBlanks(text: string): string {
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? text : text.slice(start, end);
}

export function isBlank(byte: number): boolean {
  return byte === SP || byte === HTAB;
}
