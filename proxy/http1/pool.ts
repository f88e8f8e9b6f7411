// Every HTTP/1 connection to one upstream address: reuse of the latest, a bounded number, a bounded queue.
import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { type Failure, unprocessed } from "../http/failure.ts";
import type { ClientStream, ClientStreamEvents, OutgoingRequest, Upstream } from "../http/stream.ts";
import { ClientConnection, type ClientConnectionOwner } from "./client-connection.ts";
import { type ClientStreamOwner, Http1ClientStream } from "./client-stream.ts";
import { causeOf, closedHere, connectFailed, overflow } from "./codec-failures.ts";
import type { Http1Limits } from "./limits.ts";
import { processSweeper, type Sweeper } from "./sweeper.ts";

/** Envoy's circuit breaker defaults. */
const connectionsMaxDefault = 1024;
const pendingMaxDefault = 1024;
/** An idle connection is left this long before its server said that it would close it, so that no request crosses the close. */
const keepAliveMarginMs = 1_000;

export interface Http1PoolOptions {
  /** A connection in progress or open. May throw. */
  connect(): Socket | TLSSocket;
  readonly limits: Http1Limits;
  readonly idleMs: number;
  readonly connectTimeoutMs: number;
  /** Who is at the other end, with the address: used in every reason. */
  readonly describe: string;
  readonly connectionsMax?: number;
  /** Requests that wait for a connection when all are busy. */
  readonly pendingMax?: number;
  /** The upstream is a forward proxy: a target that came as a URL goes on as one. */
  readonly writesAbsoluteForm?: boolean;
  readonly sweeper?: Sweeper;
}

export class Http1Pool implements Upstream, ClientConnectionOwner, ClientStreamOwner {
  readonly limits: Http1Limits;
  readonly describe: string;
  readonly connectTimeoutMs: number;
  readonly writesAbsoluteForm: boolean;
  readonly #options: Http1PoolOptions;
  readonly #connectionsMax: number;
  readonly #pendingMax: number;
  readonly #sweeper: Sweeper;
  readonly #connections = new Set<ClientConnection>();
  readonly #idle: ClientConnection[] = [];
  readonly #pending = new Set<Http1ClientStream>();
  #isClosed = false;

  constructor(options: Http1PoolOptions) {
    this.#options = options;
    this.limits = options.limits;
    this.describe = options.describe;
    this.connectTimeoutMs = options.connectTimeoutMs;
    this.writesAbsoluteForm = options.writesAbsoluteForm ?? false;
    this.#connectionsMax = options.connectionsMax ?? connectionsMaxDefault;
    this.#pendingMax = options.pendingMax ?? pendingMaxDefault;
    this.#sweeper = options.sweeper ?? processSweeper;
  }

  get heldBytesMax(): number {
    return this.limits.heldBytesMax;
  }

  get connectionCount(): number {
    return this.#connections.size;
  }

  get idleCount(): number {
    return this.#idle.length;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  open(request: OutgoingRequest, events: ClientStreamEvents): ClientStream {
    const stream = new Http1ClientStream(this, request, events);
    if (this.#isClosed) {
      failLater(stream, closedHere(`the proxy closed its connections to ${this.describe}`));
      return stream;
    }
    const idle = this.#takeIdle();
    if (idle !== null) idle.start(stream);
    else if (this.#connections.size < this.#connectionsMax) this.#connect(stream);
    else if (this.#pending.size < this.#pendingMax) this.#pending.add(stream);
    else failLater(stream, this.#overflow());
    return stream;
  }

  /** No connection is reused any more; requests in progress go on. New requests still get connections. */
  drain(): void {
    for (const connection of this.#connections) {
      if (connection.isBusy) connection.isRetired = true;
      else connection.close();
    }
    this.#idle.length = 0;
  }

  /** Cuts every connection; requests in progress fail with the cause (LR). */
  close(cause: Failure = closedHere(`the proxy closed its connections to ${this.describe}`)): void {
    this.#isClosed = true;
    this.#sweeper.remove(this);
    this.#idle.length = 0;
    const pending = [...this.#pending];
    this.#pending.clear();
    for (const stream of pending) stream.fail(unprocessed(cause));
    for (const connection of this.#connections) connection.close(cause);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  sweep(nowMs: number): void {
    for (let i = this.#idle.length - 1; i >= 0; i--) {
      const connection = this.#idle[i];
      if (connection === undefined || (connection.isUsable && connection.expiresAtMs > nowMs)) continue;
      this.#idle.splice(i, 1);
      connection.close();
    }
  }

  #overflow(): Failure {
    return overflow(
      `${this.describe} has ${this.#connectionsMax} connections in use and ${this.#pendingMax} requests waiting for one, which are the limits`,
    );
  }

  /** The latest used: it is the least likely to be closed by the server, and the others may grow old and go. */
  #takeIdle(): ClientConnection | null {
    const now = this.#sweeper.now();
    for (let connection = this.#idle.pop(); connection !== undefined; connection = this.#idle.pop()) {
      if (connection.isUsable && connection.expiresAtMs > now) return connection;
      connection.close();
    }
    return null;
  }

  #connect(stream: Http1ClientStream): void {
    try {
      const connection = new ClientConnection(this, this.#options.connect(), stream);
      if (this.#connections.size === 0) this.#sweeper.add(this);
      this.#connections.add(connection);
    } catch (error) {
      const cause = causeOf(error instanceof Error ? error : null);
      failLater(stream, connectFailed(`cannot connect to ${this.describe}: ${cause}`));
    }
  }

  // From a stream.

  forget(stream: Http1ClientStream): void {
    if (this.#pending.delete(stream)) return;
    for (const connection of this.#connections) connection.forsake(stream);
  }

  // From a connection.

  onFree(connection: ClientConnection, keepAliveMs: number): void {
    if (this.#isClosed || connection.isRetired) {
      connection.close();
      return;
    }
    const idleMs =
      keepAliveMs < 0 ? this.#options.idleMs : Math.min(this.#options.idleMs, keepAliveMs - keepAliveMarginMs);
    const waiting = this.#takePending();
    if (waiting !== null) {
      connection.start(waiting);
    } else if (idleMs <= 0) {
      connection.close();
    } else {
      connection.expiresAtMs = this.#sweeper.now() + idleMs;
      this.#idle.push(connection);
    }
  }

  onStale(stream: Http1ClientStream): void {
    if (this.#isClosed) stream.fail(closedHere(`the proxy closed its connections to ${this.describe}`));
    else this.#connect(stream);
  }

  onGone(connection: ClientConnection): void {
    this.#connections.delete(connection);
    const index = this.#idle.indexOf(connection);
    if (index !== -1) this.#idle.splice(index, 1);
    while (!this.#isClosed && this.#connections.size < this.#connectionsMax) {
      const waiting = this.#takePending();
      if (waiting === null) break;
      this.#connect(waiting);
    }
    if (this.#connections.size === 0) this.#sweeper.remove(this);
  }

  #takePending(): Http1ClientStream | null {
    for (const stream of this.#pending) {
      this.#pending.delete(stream);
      return stream;
    }
    return null;
  }
}

function failLater(stream: Http1ClientStream, failure: Failure): void {
  process.nextTick(() => stream.fail(failure));
}
