// The chunked coding (RFC 9112 7.1), strict and incremental: data leaves as slices of what came in, extensions are checked and
// dropped, the trailer section is parsed by the same rules as a head.
import { Fields } from "../http/fields.ts";
import { byteAt, CR, HTAB, hexDigit, isToken, isValue, LF } from "./bytes.ts";
import { FieldSection, readFields } from "./field-section.ts";
import { HeadBuffer } from "./head-buffer.ts";
import type { Http1Limits } from "./limits.ts";
import { type Rejection, rejections } from "./rejection.ts";
import { isForbiddenTrailer } from "./trailers.ts";

const semicolon = 59;
const equals = 61;
const quote = 34;
const backslash = 92;

/** 13 digits are 52 bits: beyond them a chunk size could not be counted exactly. */
const sizeDigitsMax = 13;

const state = {
  size: 0,
  sizeLf: 1,
  extensionName: 2,
  extensionValue: 3,
  extensionQuoted: 4,
  extensionEscape: 5,
  extensionEnd: 6,
  data: 7,
  dataCr: 8,
  dataLf: 9,
  trailers: 10,
  trailersLf: 11,
  done: 12,
} as const;
type State = (typeof state)[keyof typeof state];

export class ChunkedDecoder {
  /** What the last step found of the body, or null. */
  data: Buffer | null = null;
  trailers: Fields | null = null;
  rejection: Rejection | null = null;
  #state: State = state.size;
  #size = 0;
  #digits = 0;
  #tokenLength = 0;
  #extensionBytes = 0;
  readonly #limits: Http1Limits;
  readonly #section: HeadBuffer;

  constructor(limits: Http1Limits) {
    this.#limits = limits;
    this.#section = new HeadBuffer({
      bytesMax: limits.trailerBytesMax,
      leadingLinesMax: 0,
      tooLarge: rejections.trailersTooLarge,
    });
  }

  get isDone(): boolean {
    return this.#state === state.done;
  }

  reset(): void {
    this.data = null;
    this.trailers = null;
    this.rejection = null;
    this.#state = state.size;
    this.#size = 0;
    this.#digits = 0;
    this.#extensionBytes = 0;
    this.#section.reset();
  }

  /** Goes on from `offset` until there is data, the end, or a rejection; returns the offset of the first byte not used. */
  step(bytes: Buffer, offset: number): number {
    this.data = null;
    let at = offset;
    while (at < bytes.length && this.rejection === null && this.#state !== state.done) {
      if (this.#state === state.data) return this.#takeData(bytes, at);
      if (this.#state === state.trailers) at = this.#takeTrailers(bytes, at);
      else this.#takeByte(byteAt(bytes, at++));
    }
    return at;
  }

  #takeData(bytes: Buffer, at: number): number {
    const end = Math.min(bytes.length, at + this.#size);
    this.#size -= end - at;
    if (this.#size === 0) this.#state = state.dataCr;
    this.data = bytes.subarray(at, end);
    return end;
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case state.size:
        this.#takeSize(byte);
        return;
      case state.sizeLf:
        this.#endSize(byte);
        return;
      case state.dataCr:
        if (byte !== CR) this.rejection = rejections.chunkEnd;
        this.#state = state.dataLf;
        return;
      case state.dataLf:
        if (byte !== LF) this.rejection = rejections.chunkEnd;
        this.#state = state.size;
        this.#digits = 0;
        return;
      case state.trailersLf:
        if (byte !== LF) this.rejection = rejections.bareCr;
        this.#state = state.done;
        return;
      default:
        this.#takeExtension(byte);
    }
  }

  #takeSize(byte: number): void {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit;
      if (++this.#digits > sizeDigitsMax) this.rejection = rejections.chunkSizeTooLarge;
    } else if (this.#digits === 0) this.rejection = rejections.chunkSize;
    else if (byte === CR) this.#state = state.sizeLf;
    else if (byte === semicolon) this.#beginExtension();
    else this.rejection = rejections.chunkSize;
  }

  #endSize(byte: number): void {
    if (byte !== LF) this.rejection = rejections.chunkSize;
    this.#state = this.#size === 0 ? state.trailers : state.data;
  }

  #beginExtension(): void {
    this.#state = state.extensionName;
    this.#tokenLength = 0;
  }

  /** `;name`, `;name=token`, `;name="quoted"`, any number of them, without blanks (RFC 9112 7.1.1 takes those only as errata). */
  #takeExtension(byte: number): void {
    if (++this.#extensionBytes > this.#limits.chunkExtensionBytesMax) {
      this.rejection = rejections.chunkExtensionsTooLong;
    } else if (this.#state === state.extensionQuoted) {
      if (byte === quote) this.#state = state.extensionEnd;
      else if (byte === backslash) this.#state = state.extensionEscape;
      else if (!isValue(byte)) this.rejection = rejections.chunkExtension;
    } else if (this.#state === state.extensionEscape) {
      if (!isValue(byte) && byte !== HTAB) this.rejection = rejections.chunkExtension;
      this.#state = state.extensionQuoted;
    } else if (this.#state !== state.extensionEnd && isToken(byte)) {
      this.#tokenLength++;
    } else {
      this.#endExtensionToken(byte);
    }
  }

  #endExtensionToken(byte: number): void {
    const isValueBegin = this.#state === state.extensionValue && this.#tokenLength === 0;
    if (isValueBegin && byte === quote) {
      this.#state = state.extensionQuoted;
    } else if (this.#state !== state.extensionEnd && this.#tokenLength === 0) {
      this.rejection = rejections.chunkExtension;
    } else if (byte === CR) {
      this.#state = state.sizeLf;
    } else if (byte === semicolon) {
      this.#beginExtension();
    } else if (byte === equals && this.#state === state.extensionName) {
      this.#state = state.extensionValue;
      this.#tokenLength = 0;
    } else {
      this.rejection = rejections.chunkExtension;
    }
  }

  #takeTrailers(bytes: Buffer, at: number): number {
    if (byteAt(bytes, at) === CR && !this.#section.isBegun) {
      this.#state = state.trailersLf;
      return at + 1;
    }
    const next = this.#section.take(bytes, at);
    this.rejection = this.#section.rejection;
    if (this.#section.isComplete) {
      this.#readTrailers(this.#section.bytes, this.#section.length);
      this.#state = state.done;
    }
    return next;
  }

  #readTrailers(bytes: Buffer, end: number): void {
    const section = new FieldSection();
    const lines = { bytes, text: bytes.toString("latin1", 0, end), start: 0, from: 0, end };
    this.rejection = readFields(lines, section, { fieldsMax: this.#limits.fieldsMax, isResponse: false });
    const kept: string[] = [];
    for (let i = 0; i < section.list.length; i += 2) {
      const name = section.list[i] ?? "";
      if (!isForbiddenTrailer(name.toLowerCase())) kept.push(name, section.list[i + 1] ?? "");
    }
    if (kept.length > 0) this.trailers = new Fields(kept);
  }
}
