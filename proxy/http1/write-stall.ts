// Notices a peer that takes nothing of what waits for it: the slow reader, slowloris' mirror image.
import type { Socket } from "node:net";

export class WriteStall {
  readonly #socket: Socket;
  readonly #idleMs: number;
  #taken = 0;
  #sinceMs = 0;

  constructor(socket: Socket, idleMs: number) {
    this.#socket = socket;
    this.#idleMs = idleMs;
  }

  /** To be asked every tick. */
  isStalled(nowMs: number): boolean {
    const waiting = this.#socket.writableLength;
    const taken = (this.#socket.bytesWritten ?? 0) - waiting;
    if (waiting === 0 || taken !== this.#taken) {
      this.#taken = taken;
      this.#sinceMs = nowMs;
      return false;
    }
    return nowMs - this.#sinceMs > this.#idleMs;
  }
}
