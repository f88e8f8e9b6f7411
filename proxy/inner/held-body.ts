// What a stream holds for a reader that stopped. Small slices are copied together: each alone would keep the whole
// chunk that it was cut from, so that a peer that sends one byte a frame could hold many times its window.

const copiedBytesMax = 4 * 1024;

export class HeldBody {
  bytes = 0;
  #chunks: Buffer[] = [];
  /** The block that small slices go to, last of the chunks once it has any, and how much of it is filled. */
  #block: Buffer | null = null;
  #filled = 0;

  push(slice: Buffer): void {
    this.bytes += slice.length;
    if (slice.length >= copiedBytesMax) {
      this.#seal();
      this.#chunks.push(slice);
      return;
    }
    if (this.#block !== null && this.#filled + slice.length > this.#block.length) this.#seal();
    this.#block ??= Buffer.allocUnsafeSlow(copiedBytesMax);
    slice.copy(this.#block, this.#filled);
    this.#filled += slice.length;
  }

  /** The next bytes in order, or null. */
  shift(): Buffer | null {
    if (this.#chunks.length === 0) this.#seal();
    const chunk = this.#chunks.shift() ?? null;
    if (chunk !== null) this.bytes -= chunk.length;
    return chunk;
  }

  /** Drops everything and says how many bytes it was. */
  clear(): number {
    const { bytes } = this;
    this.#chunks = [];
    this.#block = null;
    this.#filled = 0;
    this.bytes = 0;
    return bytes;
  }

  #seal(): void {
    if (this.#block !== null && this.#filled > 0) this.#chunks.push(this.#block.subarray(0, this.#filled));
    this.#block = null;
    this.#filled = 0;
  }
}
