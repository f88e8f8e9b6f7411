// One open control channel: lines in, lines out, and a bound on what a daemon that does not read may cost.
import type { Socket } from "node:net";
import { type FromProxy, lineBytesMax, type ToProxy } from "../contract/messages.ts";
import { LineReader } from "./line-reader.ts";
import { parseMessage } from "./parse-message.ts";

/** While more than this waits to be written, reports are left out: counters are cumulative, so nothing is lost for good. */
export const reportQueueBytesMax = 256 * 1024;
/** Acks and pongs are never left out; a daemon that lets this much of them wait is given up. */
export const queueBytesMax = 8 * 1024 * 1024;

export interface ConnectionEvents {
  /** An error that it throws closes the connection, as a malformed line does. */
  onMessage(message: ToProxy): void;
  /** Once. `reason` is null when the other side said goodbye. */
  onClose(reason: string | null): void;
}

export class Connection {
  /** Set when its hello was accepted. */
  epoch: number | null = null;
  readonly #socket: Socket;
  #reason: string | null = null;

  constructor(socket: Socket, events: ConnectionEvents) {
    this.#socket = socket;
    const reader = new LineReader(lineBytesMax);
    socket.on("data", (chunk: Buffer) => {
      try {
        for (const line of reader.push(chunk)) {
          if (socket.destroyed) return;
          if (line !== "") events.onMessage(parseMessage(line));
        }
      } catch (error) {
        this.close(error instanceof Error ? error.message : String(error));
      }
    });
    socket.on("error", (error) => this.close(error.message));
    socket.once("close", () => events.onClose(this.#reason));
  }

  send(message: FromProxy): void {
    if (!this.#socket.writable) return;
    this.#socket.write(`${JSON.stringify(message)}\n`);
    if (this.#socket.writableLength > queueBytesMax) this.close("it does not read");
  }

  /** False: too much waits already. */
  get takesReports(): boolean {
    return this.#socket.writable && this.#socket.writableLength <= reportQueueBytesMax;
  }

  close(reason: string): void {
    if (this.#socket.destroyed) return;
    this.#reason = reason;
    this.#socket.destroy();
  }
}
