// The unsent body of one stream: chunks as they were written, taken off in pieces of any length.

export class SendQueue {
  bytes = 0;
  #chunks: Buffer[] = [];
  /** Bytes of the first chunk that were taken. */
  #taken = 0;

  push(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.bytes += chunk.length;
  }

  /** Moves the first `length` bytes; there must be that many. */
  copyTo(target: Buffer, start: number, length: number): void {
    let at = start;
    const end = start + length;
    while (at < end) {
      const chunk = this.#chunks[0];
      if (chunk === undefined) throw new Error("a send queue was asked for more than it has");
      const count = Math.min(end - at, chunk.length - this.#taken);
      chunk.copy(target, at, this.#taken, this.#taken + count);
      at += count;
      this.#taken += count;
      if (this.#taken === chunk.length) {
        this.#chunks.shift();
        this.#taken = 0;
      }
    }
    this.bytes -= length;
  }

  clear(): void {
    this.#chunks = [];
    this.#taken = 0;
    this.bytes = 0;
  }
}
