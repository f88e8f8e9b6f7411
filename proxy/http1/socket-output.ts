// What one connection writes: text and small bodies of one turn become one latin1 string and one write, because the write system
// calls are most of a hop's cost; large chunks go out uncopied beside the text before them, in one gathered write.
import type { Socket } from "node:net";
import type { Fields } from "../http/fields.ts";

/** A chunk up to this size is cheaper to copy into the text than to write apart. */
const inlineBytesMax = 8 * 1024;
/** libuv writes a string up to this size from its stack. */
const textLengthMax = 16 * 1024;

export class SocketOutput {
  /** True after a `write` was refused more; whoever sees the socket's drain event clears it. */
  isAwaitingDrain = false;
  readonly #socket: Socket;
  readonly #highWaterBytes: number;
  #text = "";
  #isFlushDue = false;

  constructor(socket: Socket, highWaterBytes: number) {
    this.#socket = socket;
    // Below the socket's own mark no drain event would follow.
    this.#highWaterBytes = Math.max(highWaterBytes, socket.writableHighWaterMark);
  }

  writeText(text: string): void {
    this.#text += text;
    this.#flushLater();
  }

  /** False: wait for the drain event. */
  writeBytes(chunk: Buffer): boolean {
    if (chunk.length <= inlineBytesMax && this.#text.length + chunk.length <= textLengthMax) {
      this.#text += chunk.toString("latin1");
      this.#flushLater();
    } else {
      this.#writeThrough(chunk, "");
    }
    return this.#hasRoom();
  }

  /** As one chunk of the chunked coding. */
  writeChunk(chunk: Buffer): boolean {
    this.#text += `${chunk.length.toString(16)}\r\n`;
    if (chunk.length <= inlineBytesMax && this.#text.length + chunk.length <= textLengthMax) {
      this.#text += `${chunk.toString("latin1")}\r\n`;
      this.#flushLater();
    } else {
      this.#writeThrough(chunk, "\r\n");
    }
    return this.#hasRoom();
  }

  endChunks(trailers: Fields | null): void {
    let text = "0\r\n";
    if (trailers !== null) {
      const { list } = trailers;
      for (let i = 0; i < list.length; i += 2) text += `${list[i]}: ${list[i + 1]}\r\n`;
    }
    this.#text += `${text}\r\n`;
  }

  flush(): void {
    if (this.#text === "") return;
    const text = latin1(this.#text);
    this.#text = "";
    if (!this.#socket.writableEnded && !this.#socket.destroyed) this.#socket.write(text, "latin1");
  }

  /** At the end of the turn. */
  flushTurn(): void {
    this.#isFlushDue = false;
    this.flush();
  }

  #hasRoom(): boolean {
    if (this.#socket.writableLength < this.#highWaterBytes) return true;
    this.isAwaitingDrain = true;
    return false;
  }

  #writeThrough(chunk: Buffer, after: string): void {
    this.#socket.cork();
    this.flush();
    if (!this.#socket.writableEnded && !this.#socket.destroyed) {
      this.#socket.write(chunk);
      if (after !== "") this.#socket.write(after, "latin1");
    }
    this.#socket.uncork();
  }

  #flushLater(): void {
    if (this.#text.length > textLengthMax) this.flush();
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    process.nextTick(flushOutput, this);
  }
}

function flushOutput(output: SocketOutput): void {
  output.flushTurn();
}

const beyondLatin1 = /[\u0100-\uffff]/;

/**
 * Node writes only the low byte of a UTF-16 unit as latin1, so that U+010A would become a line feed and split a head.
 * Nothing parsed from a socket has such a unit; a value that the proxy made may. On latin1 strings the test costs nothing.
 */
function latin1(text: string): string {
  return beyondLatin1.test(text) ? text.replace(/[\u0100-\uffff]/g, "?") : text;
}
