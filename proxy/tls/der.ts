// As much of DER (X.690) as reading a certificate's extensions takes: definite, minimal lengths and one-byte tags only.

export const Tag = {
  boolean: 0x01,
  bitString: 0x03,
  octetString: 0x04,
  objectId: 0x06,
  sequence: 0x30,
  /** [3] EXPLICIT: the extensions of a TBSCertificate. */
  extensions: 0xa3,
  /** [6] IMPLICIT IA5String: a GeneralName that is a URI. */
  uri: 0x86,
} as const;

export interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** The elements that the content is made of. Throws RangeError when it is not DER. */
export function elements(content: Buffer): Element[] {
  const found: Element[] = [];
  let at = 0;
  while (at < content.length) {
    const { tag, start, end } = header(content, at);
    found.push({ tag, content: content.subarray(start, end) });
    at = end;
  }
  return found;
}

/** The one element that the bytes are. Throws RangeError when they are not, or the tag is another. */
export function only(bytes: Buffer, tag: number): Buffer {
  const { tag: found, start, end } = header(bytes, 0);
  if (found !== tag || end !== bytes.length) throw new RangeError(`no single element of tag ${tag}`);
  return bytes.subarray(start, end);
}

function header(bytes: Buffer, at: number): { tag: number; start: number; end: number } {
  const tag = byteAt(bytes, at);
  if ((tag & 0x1f) === 0x1f) throw new RangeError("a tag of more than one byte");
  let length = byteAt(bytes, at + 1);
  let start = at + 2;
  if (length >= 0x80) {
    const count = length - 0x80;
    if (count < 1 || count > 3) throw new RangeError("a length that is indefinite or too long");
    length = 0;
    for (let i = 0; i < count; i++) length = length * 256 + byteAt(bytes, start + i);
    start += count;
    if (length < 0x80 || length < 256 ** (count - 1)) throw new RangeError("a length that is not minimal");
  }
  const end = start + length;
  if (end > bytes.length) throw new RangeError("an element that is longer than what holds it");
  return { tag, start, end };
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at];
  if (byte === undefined) throw new RangeError("an element that is cut off");
  return byte;
}
