// The proxy's end of the control channel: a unix socket, of which the newest daemon's connection is the one that counts.

import { once } from "node:events";
import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import net from "node:net";
import { CONTRACT, type ProxyConfig } from "../contract/config.ts";
import { applyChange, type Change, fromResources, type Resources } from "../contract/diff.ts";
import type { FromProxy, ToProxy } from "../contract/messages.ts";
import type { Report, Told } from "../contract/report.ts";
import { Connection } from "./connection.ts";

/** Half-open old daemons and one new one; each costs a descriptor until its hello is late. */
const connectionsMax = 16;
const reportEveryMsDefault = 1_000;
/** A proxy that counts nothing tells how it is this often, in reports' intervals. */
const quietReportsMax = 5;
const helloTimeoutMsDefault = 2_000;
/** The daemon takes no longer reason. */
const reasonCharactersMax = 4_000;

type Hello = Extract<FromProxy, { t: "hello" }>;
export type Certificate = Extract<ToProxy, { t: "certificate" }>;

export interface ControlServerOptions {
  /** Of the unix socket. A stale one is removed. */
  readonly path: string;
  /** What the hello says beside the contract and the config in force. */
  readonly hello: () => Pick<Hello, "boot" | "publicKey" | "certificateNotAfterMs" | "listens">;
  /** Builds and swaps in a whole config. A throw leaves the last good one in force and is told to the daemon. */
  readonly apply: (config: ProxyConfig) => void;
  readonly onCertificate: (certificate: Certificate) => void;
  /** May be called more than once. */
  readonly onDrain: () => void;
  /** Everything that the proxy listens on is bound, the certificate is in place and a config is applied. Asked after `apply`. */
  readonly isReady: () => boolean;
  /** Only what has grown since `told`, where that is given. */
  readonly report: (told?: Told) => Report;
  /** Called for every report that was left out because the daemon does not read. */
  readonly onReportDropped: () => void;
  readonly log: (line: string) => void;
  readonly reportEveryMs?: number;
  readonly helloTimeoutMs?: number;
}

export class ControlServer implements AsyncDisposable {
  readonly #options: ControlServerOptions;
  readonly #server: net.Server;
  readonly #connections = new Set<Connection>();
  readonly #timer: NodeJS.Timeout;
  #active: Connection | null = null;
  /** The highest ever seen: a stale daemon must not slip in while the newest one reconnects. */
  #epoch = Number.NEGATIVE_INFINITY;
  #current: { readonly hash: string; readonly resources: Resources } | null = null;
  #isCompatible = true;
  /** What the active connection was told; null: it takes whole reports alone. */
  #told: Told | null = null;
  #hasReported = false;
  /** Reports in a row that were left out because nothing had grown. */
  #quietReports = 0;
  #closing: Promise<void> | null = null;

  constructor(options: ControlServerOptions) {
    this.#options = options;
    this.#server = net.createServer((socket) => this.#accept(socket));
    this.#server.maxConnections = connectionsMax;
    this.#timer = setInterval(() => this.sendReport(), options.reportEveryMs ?? reportEveryMsDefault);
  }

  /** Throws when the path cannot be listened on. */
  async listen(): Promise<void> {
    const { path, log } = this.#options;
    removeStaleSocket(path);
    this.#server.listen(path);
    await once(this.#server, "listening");
    // Whoever may write to it commands the proxy: the same user only.
    chmodSync(path, 0o600);
    this.#server.on("error", (error) => log(`[devmesh] control: ${error.message}`));
  }

  /** Hash of the config in force, or null before the first. */
  get configHash(): string | null {
    return this.#current?.hash ?? null;
  }

  get isConnected(): boolean {
    return this.#active !== null;
  }

  /** Says `ready`, to the daemon that is connected now. */
  sendReady(): void {
    this.#active?.send({ t: "ready" });
  }

  /** Says whether the application listens. */
  sendApplication(listens: boolean | null): void {
    this.#active?.send({ t: "application", listens });
  }

  /** One report now, as the timer does; for the last one before the end. */
  sendReport(): void {
    if (this.#active === null) return;
    if (!this.#active.takesReports) {
      this.#options.onReportDropped();
      return;
    }
    if (this.#told === null) {
      this.#active.send({ t: "report", report: this.#options.report() });
      return;
    }
    const report = this.#options.report(this.#told);
    const isQuiet = this.#hasReported && report.http.length === 0 && report.tcp.length === 0;
    this.#quietReports = isQuiet ? this.#quietReports + 1 : 0;
    if (this.#quietReports % quietReportsMax !== 0) return;
    this.#active.send({ t: "report", report: this.#hasReported ? { ...report, isPartial: true } : report });
    this.#hasReported = true;
  }

  close(): Promise<void> {
    this.#closing ??= new Promise((resolve) => {
      clearInterval(this.#timer);
      for (const connection of this.#connections) connection.close("the proxy ends");
      // Node removes the socket's file.
      this.#server.close(() => resolve());
    });
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #accept(socket: net.Socket): void {
    const { hello, helloTimeoutMs = helloTimeoutMsDefault, log } = this.#options;
    const timer = setTimeout(() => connection.close(`no hello within ${helloTimeoutMs} ms`), helloTimeoutMs);
    const connection: Connection = new Connection(socket, {
      onMessage: (message) => {
        if (message.t === "hello") clearTimeout(timer);
        this.#receive(connection, message);
      },
      onClose: (reason) => {
        clearTimeout(timer);
        this.#connections.delete(connection);
        if (this.#active === connection) this.#active = null;
        if (reason !== null) log(`[devmesh] control connection closed: ${reason}`);
      },
    });
    this.#connections.add(connection);
    connection.send({ ...hello(), t: "hello", contract: CONTRACT, configHash: this.configHash });
  }

  #receive(connection: Connection, message: ToProxy): void {
    if (message.t === "hello") {
      this.#greet(connection, message);
      return;
    }
    if (connection !== this.#active) throw new Error(`${message.t} before an accepted hello`);
    switch (message.t) {
      case "config":
        this.#configure(connection, message.change);
        break;
      case "certificate":
        this.#certify(message);
        break;
      case "drain":
        this.#options.onDrain();
        break;
      case "ping":
        connection.send({ t: "pong", n: message.n });
        break;
    }
  }

  #greet(connection: Connection, hello: Extract<ToProxy, { t: "hello" }>): void {
    if (connection.epoch !== null) throw new Error("a second hello");
    if (hello.epoch <= this.#epoch) throw new Error(`epoch ${hello.epoch} is not above ${this.#epoch}`);
    connection.epoch = hello.epoch;
    this.#epoch = hello.epoch;
    const older = this.#active;
    this.#active = connection;
    older?.close(`epoch ${hello.epoch} takes over`);
    this.#told = hello.takesChanges === true ? new WeakMap() : null;
    this.#hasReported = false;
    // An incompatible daemon may still drain the proxy in order to replace it.
    this.#isCompatible = hello.contract.major === CONTRACT.major;
  }

  #configure(connection: Connection, change: Change): void {
    try {
      if (!this.#isCompatible) throw new Error(`the proxy speaks contract ${CONTRACT.major}.${CONTRACT.minor}`);
      const resources = applyChange(this.#current, change);
      this.#options.apply(fromResources(resources));
      this.#current = { hash: change.hash, resources };
    } catch (error) {
      const reason = (error instanceof Error ? error.message : String(error)).slice(0, reasonCharactersMax);
      this.#options.log(`[devmesh] config ${change.hash.slice(0, 64)} refused: ${reason}`);
      connection.send({ t: "nack", hash: change.hash, current: this.configHash, reason });
      return;
    }
    connection.send({ t: "ack", hash: change.hash, ready: this.#options.isReady() });
  }

  /** There is no nack for a certificate: the last good one stays, and its end in the next hello tells the daemon. */
  #certify(certificate: Certificate): void {
    try {
      this.#options.onCertificate(certificate);
    } catch (error) {
      this.#options.log(`[devmesh] certificate refused: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** Left by a proxy that was killed. Anything but a socket is not ours to remove: listening fails on it. */
function removeStaleSocket(path: string): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) unlinkSync(path);
}
