// A Redis connection that comes back: one socket, commands pipelined in order, reconnect with growing pauses.
import { connect, type Socket } from "node:net";
import { decodeReply, encodeCommand, RedisError, type RedisReply } from "./resp.ts";

const commandsWaitingMax = 1_000;
const commandTimeoutMs = 3_000;
const reconnectPauseMs = { first: 50, last: 1_000 };

export interface RedisOptions {
  readonly host: string;
  readonly port: number;
  /** Told why a connection was lost or refused, once until there is one again. */
  readonly log: (message: string) => void;
}

interface Command {
  readonly text: string;
  readonly resolve: (reply: RedisReply) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class RedisClient {
  readonly #options: RedisOptions;
  /** Written and not answered yet; replies come in this order. */
  #sent: Command[] = [];
  /** Not written yet, while there is no connection. */
  #waiting: Command[] = [];
  #socket: Socket | null = null;
  #isConnected = false;
  #isClosed = false;
  #pauseMs = reconnectPauseMs.first;
  #timer: NodeJS.Timeout | null = null;
  #unread: Buffer = Buffer.alloc(0);

  constructor(options: RedisOptions) {
    this.#options = options;
    this.#connect();
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** The reply; rejects with a RedisError for an error reply, with another Error when there is none in time. */
  command(...args: readonly string[]): Promise<RedisReply> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) return reject(new Error("the Redis client is closed"));
      if (this.#sent.length + this.#waiting.length >= commandsWaitingMax) return reject(new Error("Redis is too slow"));
      const timer = setTimeout(() => this.#timedOut(command), commandTimeoutMs);
      const command: Command = { text: encodeCommand(args), resolve, reject, timer };
      if (this.#isConnected) this.#write(command);
      else this.#waiting.push(command);
    });
  }

  close(): void {
    this.#isClosed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#socket?.destroy();
    for (const command of [...this.#sent, ...this.#waiting]) fail(command, new Error("the Redis client is closed"));
    this.#sent = [];
    this.#waiting = [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }

  #connect(): void {
    const { host, port, log } = this.#options;
    const socket = connect({ host, port, noDelay: true, keepAlive: true });
    this.#socket = socket;
    socket.on("connect", () => this.#connected());
    socket.on("data", (bytes: Buffer) => this.#read(bytes));
    // `close` follows and does the work; the reason is in the log once, not once per attempt.
    socket.on("error", (error) => {
      if (this.#pauseMs === reconnectPauseMs.first) log(`Redis: ${error.message}`);
    });
    socket.on("close", () => this.#disconnected());
  }

  #connected(): void {
    this.#isConnected = true;
    this.#pauseMs = reconnectPauseMs.first;
    this.#unread = Buffer.alloc(0);
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const command of waiting) this.#write(command);
  }

  #disconnected(): void {
    this.#isConnected = false;
    this.#socket = null;
    // Whether Redis did what was written is unknown, so it is not written again.
    for (const command of this.#sent) fail(command, new Error("the connection to Redis ended"));
    this.#sent = [];
    if (this.#isClosed) return;
    this.#timer = setTimeout(() => this.#connect(), this.#pauseMs);
    this.#pauseMs = Math.min(this.#pauseMs * 2, reconnectPauseMs.last);
  }

  #write(command: Command): void {
    this.#sent.push(command);
    this.#socket?.write(command.text);
  }

  #read(bytes: Buffer): void {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes]);
    try {
      let from = 0;
      for (let found = decodeReply(this.#unread); found !== null; found = decodeReply(this.#unread, from)) {
        from = found.end;
        settle(this.#sent.shift(), found.reply);
      }
      this.#unread = this.#unread.subarray(from);
    } catch (error) {
      this.#socket?.destroy(error instanceof Error ? error : undefined);
    }
  }

  // Replies are told apart by their order alone, so a connection with a lost reply is of no more use.
  #timedOut(command: Command): void {
    command.reject(new Error(`no answer from Redis within ${commandTimeoutMs} ms`));
    this.#waiting = this.#waiting.filter((one) => one !== command);
    if (this.#sent.includes(command)) this.#socket?.destroy();
  }
}

function settle(command: Command | undefined, reply: RedisReply): void {
  if (command === undefined) throw new Error("a reply that nobody asked for");
  clearTimeout(command.timer);
  if (reply instanceof RedisError) command.reject(reply);
  else command.resolve(reply);
}

function fail(command: Command, error: Error): void {
  clearTimeout(command.timer);
  command.reject(error);
}
