// What a request has sent so far, kept so that it can be sent again: to another endpoint, or to the first one that comes.

/** A longer body is sent once (Linkerd's figure). */
const bytesMax = 64 * 1024;
/** So is one in more pieces: each costs more than its bytes. */
const piecesMax = 1024;

export class RequestSoFar {
  #pieces: Buffer[] | null = [];
  #bytes = 0;

  /** Nothing of it was dropped: it can still be sent from its start. */
  get isWhole(): boolean {
    return this.#pieces !== null;
  }

  /** Enough is kept: what follows has to wait at its source, or the request cannot be sent again. */
  get isFull(): boolean {
    return this.#bytes > bytesMax || (this.#pieces?.length ?? 0) >= piecesMax;
  }

  push(piece: Buffer): void {
    if (this.#pieces === null) return;
    this.#pieces.push(piece);
    this.#bytes += piece.length;
  }

  /** False when the try has no room for more. */
  sendTo(attempt: { write(piece: Buffer): boolean }): boolean {
    let hasRoom = true;
    for (const piece of this.#pieces ?? []) hasRoom = attempt.write(piece);
    return hasRoom;
  }

  /** It is not sent again. */
  drop(): void {
    this.#pieces = null;
    this.#bytes = 0;
  }
}
