// One open control channel as messages: lines in, lines out, with bounds on both and exactly one end.
import type { Duplex } from "node:stream";
import { type FromProxy, lineBytesMax, type ToProxy } from "../../proxy/contract/messages.ts";
import { LineCutter } from "../api/ndjson.ts";
import { parseFromProxy } from "./from-proxy.ts";

/** Bytes that may wait for a proxy that does not read; beyond, the channel is closed and opened anew. */
const unreadBytesMax = 2 * lineBytesMax;

export interface MessageStreamEvents {
  onMessage(message: FromProxy): void;
  /** Once, with the reason, however the channel ended. */
  onEnd(reason: string): void;
}

export class MessageStream implements AsyncDisposable {
  readonly #stream: Duplex;
  readonly #events: MessageStreamEvents;
  #isOpen = true;

  constructor(stream: Duplex, events: MessageStreamEvents) {
    this.#stream = stream;
    this.#events = events;
    const cutter = new LineCutter(lineBytesMax);
    stream.on("data", (chunk: Buffer) => this.#read(cutter, chunk));
    stream.on("error", (error) => this.#end(error.message));
    stream.on("end", () => this.#end("the proxy closed the channel"));
    stream.on("close", () => this.#end("the channel closed"));
  }

  #read(cutter: LineCutter, chunk: Buffer): void {
    try {
      for (const line of cutter.push(chunk)) {
        if (!this.#isOpen) return;
        const message = parseFromProxy(line);
        if (message !== null) this.#events.onMessage(message);
      }
    } catch (error) {
      this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  send(message: ToProxy): void {
    if (!this.#isOpen) return;
    this.#stream.write(`${JSON.stringify(message)}\n`);
    if (this.#stream.writableLength > unreadBytesMax) this.#end("the proxy does not read");
  }

  #end(reason: string): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#stream.destroy();
    this.#events.onEnd(reason);
  }

  close(reason = "closed"): void {
    this.#end(reason);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
