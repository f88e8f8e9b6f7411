// Collects a head that did not come in one piece, byte by byte, and finds its end across chunk borders.
import { byteAt, CR, HTAB, LF, SP } from "./bytes.ts";
import { type Rejection, rejections } from "./rejection.ts";

const initialBytes = 1024;

export class HeadBuffer {
  /** The head so far; `length` bytes of it count. Once complete, without the empty line. */
  bytes: Buffer = Buffer.allocUnsafe(0);
  length = 0;
  isComplete = false;
  rejection: Rejection | null = null;
  /** Bytes of the first line with its CRLF, 0 while it is not complete: so that garbage is refused before a head ends. */
  firstLineLength = 0;
  readonly #bytesMax: number;
  readonly #leadingLinesMax: number;
  readonly #tooLarge: Rejection;
  #lineStart = 0;
  #leadingLines = 0;

  constructor(options: { readonly bytesMax: number; readonly leadingLinesMax: number; readonly tooLarge: Rejection }) {
    this.#bytesMax = options.bytesMax;
    this.#leadingLinesMax = options.leadingLinesMax;
    this.#tooLarge = options.tooLarge;
  }

  reset(): void {
    this.bytes = Buffer.allocUnsafe(0);
    this.length = 0;
    this.isComplete = false;
    this.rejection = null;
    this.firstLineLength = 0;
    this.#lineStart = 0;
    this.#leadingLines = 0;
  }

  get isBegun(): boolean {
    return this.length > 0 || this.#leadingLines > 0;
  }

  /** Takes bytes from `offset` until the head is complete or refused; returns the offset of the first byte not taken. */
  take(chunk: Buffer, offset: number): number {
    let at = offset;
    while (at < chunk.length && !this.isComplete && this.rejection === null) this.#takeByte(byteAt(chunk, at++));
    return at;
  }

  #takeByte(byte: number): void {
    const before = this.length === 0 ? 0 : byteAt(this.bytes, this.length - 1);
    if (byte === LF && before !== CR) this.rejection = rejections.bareLf;
    else if (byte !== LF && before === CR) this.rejection = rejections.bareCr;
    else if (this.firstLineLength === 0 && isControl(byte)) this.rejection = rejections.startLineByte;
    else if (this.length >= this.#bytesMax) this.rejection = this.#tooLarge;
    if (this.rejection !== null) return;
    if (this.length === this.bytes.length) this.#grow();
    this.bytes[this.length++] = byte;
    if (byte === LF) this.#endLine();
  }

  #endLine(): void {
    const isEmpty = this.length - this.#lineStart === 2;
    if (!isEmpty) {
      if (this.firstLineLength === 0) this.firstLineLength = this.length;
      this.#lineStart = this.length;
    } else if (this.firstLineLength > 0) {
      this.length -= 2;
      this.isComplete = true;
    } else {
      this.length = 0;
      if (++this.#leadingLines > this.#leadingLinesMax) this.rejection = rejections.leadingLines;
    }
  }

  #grow(): void {
    const grown = Buffer.allocUnsafe(Math.max(initialBytes, this.bytes.length * 2));
    this.bytes.copy(grown, 0, 0, this.length);
    this.bytes = grown;
  }
}

function isControl(byte: number): boolean {
  return byte < SP && byte !== LF && byte !== CR && byte !== HTAB;
}
