// Asks Docker's resolver what the mesh does not know. Sockets are opened with the first query: one that was opened before the
// privilege drop would be taken for the application's and redirected to ourselves.
import { randomInt } from "node:crypto";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import net from "node:net";
import { questionEnd } from "./answer.ts";
import { FrameReader, frame } from "./frames.ts";

/** Queries that wait for an answer; more are answered with SERVFAIL at once. */
export const pendingMax = 1024;

export interface Address {
  readonly address: string;
  readonly port: number;
}

interface Pending {
  readonly query: Buffer;
  readonly settle: (response: Buffer | null) => void;
  readonly timer: NodeJS.Timeout;
}

export interface UpstreamOptions {
  readonly upstream: Address;
  readonly timeoutMs: number;
  readonly log: (line: string) => void;
}

/** One socket, an unguessable id per query of our own, because ids of different clients may be equal. */
export class UdpUpstream implements AsyncDisposable {
  readonly #options: UpstreamOptions;
  readonly #pending = new Map<number, Pending>();
  #socket: Promise<UdpSocket> | null = null;
  #closing: Promise<void> | null = null;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /** The response with the query's id, or null: no answer in time, an unreachable resolver, or too much to do. */
  async ask(query: Buffer): Promise<Buffer | null> {
    if (this.#closing !== null || this.#pending.size >= pendingMax) return null;
    const socket = await this.#open();
    if (socket === null || this.#closing !== null || this.#pending.size >= pendingMax) return null;
    return new Promise((resolve) => {
      const id = this.#freeId();
      const settle = (response: Buffer | null): void => {
        const pending = this.#pending.get(id);
        if (pending === undefined) return;
        clearTimeout(pending.timer);
        this.#pending.delete(id);
        if (response !== null) query.copy(response, 0, 0, 2);
        resolve(response);
      };
      this.#pending.set(id, { query, settle, timer: setTimeout(() => settle(null), this.#options.timeoutMs) });
      const bytes = Buffer.from(query);
      bytes.writeUInt16BE(id, 0);
      socket.send(bytes, (error) => {
        if (error !== null) settle(null);
      });
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    const socket = await this.#socket?.catch(() => null);
    this.#forget();
    if (socket) await new Promise<void>((resolve) => socket.close(() => resolve()));
  }

  #freeId(): number {
    for (;;) {
      const id = randomInt(0x10000);
      if (!this.#pending.has(id)) return id;
    }
  }

  async #open(): Promise<UdpSocket | null> {
    this.#socket ??= this.#connect();
    try {
      return await this.#socket;
    } catch (error) {
      this.#socket = null;
      this.#options.log(`[devmesh] dns: no socket towards ${this.#options.upstream.address}: ${String(error)}`);
      return null;
    }
  }

  /** Connected, so that the kernel drops what others send and reports a closed port. */
  #connect(): Promise<UdpSocket> {
    const { address, port } = this.#options.upstream;
    const socket = createSocket(net.isIPv6(address) ? "udp6" : "udp4");
    socket.on("message", (message) => this.#receive(message));
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.connect(port, address, () => {
        socket.off("error", reject);
        // ECONNREFUSED of an earlier query: nobody listens, so all that wait have their answer.
        socket.on("error", () => this.#forget());
        resolve(socket);
      });
    });
  }

  #receive(message: Buffer): void {
    if (message.length < 12 || (message.readUInt16BE(2) & 0x8000) === 0) return;
    const pending = this.#pending.get(message.readUInt16BE(0));
    // A late answer to another query may come with an id that is in use again: the question tells.
    if (pending === undefined || !isSameQuestion(pending.query, message)) return;
    pending.settle(message);
  }

  #forget(): void {
    for (const pending of [...this.#pending.values()]) pending.settle(null);
  }
}

/** Servers may leave the question out of an error; names compare without case. */
function isSameQuestion(query: Buffer, response: Buffer): boolean {
  const asked = questionEnd(query);
  const answered = questionEnd(response);
  if (asked === null || answered === null) return answered === null && response.readUInt16BE(4) === 0;
  const question = (message: Buffer, end: number): string => message.toString("latin1", 12, end).toLowerCase();
  return question(query, asked) === question(response, answered);
}

/** One connection per query: clients come over TCP only for answers that do not fit elsewhere. */
export function askOverTcp(query: Buffer, options: UpstreamOptions): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const reader = new FrameReader();
    const socket = net.connect({ host: options.upstream.address, port: options.upstream.port });
    const settle = (response: Buffer | null): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(response);
    };
    const timer = setTimeout(() => settle(null), options.timeoutMs);
    socket.on("error", () => settle(null));
    socket.on("close", () => settle(null));
    socket.on("data", (chunk: Buffer) => {
      const [response] = reader.push(chunk);
      if (response !== undefined) settle(response);
    });
    socket.write(frame(query));
  });
}
