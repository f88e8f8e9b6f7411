// The sidecar's resolver: mesh names from a table that is swapped whole, everything else from Docker's resolver.
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { answer, canonicalName, type NameTable, serverFailure, type Verdict, withoutHidden } from "./answer.ts";
import { FrameReader, frame } from "./frames.ts";
import { type Address, askOverTcp, pendingMax, UdpUpstream, type UpstreamOptions } from "./upstream.ts";

/** Clients over TCP at one time; the kernel's backlog holds the next ones. */
const connectionsMax = 64;
/** Queries of one connection that wait for an answer, and bytes of answers that it does not read; beyond, it is closed. */
const pipelinedMax = 256;
const unreadBytesMax = 256 * 1024;
const connectionIdleMs = 10_000;
export const upstreamTimeoutMs = 5_000;

export interface ResolverOptions {
  /** Port 0 takes any free one, another for UDP than for TCP. */
  readonly listen: Address;
  readonly upstream: Address;
  readonly log: (line: string) => void;
  /** Addresses that the upstream must not tell: a name that means one of them does not exist. Default: none. */
  readonly isHidden?: (address: string) => boolean;
  /** Until a forwarded query is answered with SERVFAIL. Default 5 s. */
  readonly timeoutMs?: number;
}

export class Resolver implements AsyncDisposable {
  readonly #options: ResolverOptions;
  readonly #udp: UdpSocket;
  readonly #tcp: net.Server;
  readonly #upstream: UdpUpstream;
  readonly #upstreamOptions: UpstreamOptions;
  readonly #connections = new Set<net.Socket>();
  #table: NameTable = new Map();
  #tcpPending = 0;
  /** Clients that asked before the first table: Docker would tell them a container's address, and for 600 s. */
  #early: Set<() => void> | null = new Set();
  #closing: Promise<void> | null = null;

  constructor(options: ResolverOptions) {
    this.#options = options;
    const { upstream, log, timeoutMs = upstreamTimeoutMs } = options;
    this.#upstreamOptions = { upstream, log, timeoutMs };
    this.#upstream = new UdpUpstream(this.#upstreamOptions);
    this.#udp = createSocket(net.isIPv6(options.listen.address) ? "udp6" : "udp4");
    this.#udp.on("message", (query, from) => void this.#receive(query, from));
    this.#tcp = net.createServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#tcp.maxConnections = connectionsMax;
  }

  /** Resolves when both sockets are bound. Throws when an address cannot be. */
  async listen(): Promise<void> {
    const { address, port } = this.#options.listen;
    this.#udp.bind(port, address);
    this.#tcp.listen(port, address);
    await Promise.all([once(this.#udp, "listening"), once(this.#tcp, "listening")]);
    for (const server of [this.#udp, this.#tcp]) {
      server.on("error", (error: Error) => this.#options.log(`[devmesh] dns: ${error.message}`));
    }
  }

  get udpPort(): number {
    return this.#udp.address().port;
  }

  get tcpPort(): number {
    const address = this.#tcp.address();
    return address !== null && typeof address === "object" ? address.port : 0;
  }

  /** Queries wait for the first table. Names in any case, with or without the trailing dot. A name without addresses exists and has none. */
  setTable(names: NameTable): void {
    this.#table = new Map([...names].map(([name, addresses]) => [canonicalName(name), addresses]));
    const early = this.#early;
    this.#early = null;
    for (const go of early ?? []) go();
  }

  /** Waiting clients are left without an answer. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    for (const go of this.#early ?? []) go();
    await Promise.all([
      this.#upstream.close(),
      new Promise<void>((resolve) => this.#tcp.close(() => resolve())),
      new Promise<void>((resolve) => this.#udp.close(resolve)),
    ]);
  }

  /** False: there is still no table, and the client has waited long enough or too many wait. */
  async #hasTable(): Promise<boolean> {
    const early = this.#early;
    if (early === null) return true;
    if (early.size >= pendingMax || this.#closing !== null) return false;
    await new Promise<void>((resolve) => {
      const go = (): void => {
        clearTimeout(timer);
        early.delete(go);
        resolve();
      };
      const timer = setTimeout(go, this.#upstreamOptions.timeoutMs);
      early.add(go);
    });
    return this.#early === null;
  }

  async #receive(query: Buffer, from: RemoteInfo): Promise<void> {
    const verdict = await this.#judge(query, "udp");
    if (verdict.kind === "drop") return;
    const bytes = verdict.kind === "answer" ? verdict.bytes : this.#told(await this.#upstream.ask(query), query);
    try {
      // A client that is gone is no trouble of ours.
      this.#udp.send(bytes, from.port, from.address, () => undefined);
    } catch {
      // Closed while the upstream was asked, or a source port that cannot be answered (0).
    }
  }

  /** What the upstream said, as the application may hear it. */
  #told(response: Buffer | null, query: Buffer): Buffer {
    if (response === null) return serverFailure(query);
    const { isHidden } = this.#options;
    return isHidden === undefined ? response : withoutHidden(response, isHidden);
  }

  async #judge(query: Buffer, transport: "udp" | "tcp"): Promise<Verdict> {
    if (await this.#hasTable()) return answer(query, this.#table, transport);
    const verdict = answer(query, this.#table, transport);
    return verdict.kind === "forward" ? { kind: "answer", bytes: serverFailure(query) } : verdict;
  }

  #accept(socket: net.Socket): void {
    this.#connections.add(socket);
    const reader = new FrameReader();
    let waiting = 0;
    let isEnded = false;
    socket.setTimeout(connectionIdleMs, () => socket.destroy());
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#connections.delete(socket));
    const reply = async (query: Buffer): Promise<void> => {
      const bytes = await this.#answerTcp(query);
      waiting--;
      if (bytes === null) socket.destroy();
      else if (socket.writable) socket.write(frame(bytes));
      if (isEnded && waiting === 0) socket.end();
    };
    socket.on("data", (chunk: Buffer) => {
      for (const query of reader.push(chunk)) {
        if (waiting >= pipelinedMax || socket.writableLength > unreadBytesMax) {
          socket.destroy();
          return;
        }
        waiting++;
        void reply(query);
      }
    });
    // A client may end its side and still wait for answers.
    socket.on("end", () => {
      isEnded = true;
      if (waiting === 0) socket.end();
    });
  }

  /** Null: the client does not speak DNS. */
  async #answerTcp(query: Buffer): Promise<Buffer | null> {
    const verdict = await this.#judge(query, "tcp");
    if (verdict.kind === "drop") return null;
    if (verdict.kind === "answer") return verdict.bytes;
    if (this.#tcpPending >= pendingMax) return serverFailure(query);
    this.#tcpPending++;
    try {
      return this.#told(await askOverTcp(query, this.#upstreamOptions), query);
    } finally {
      this.#tcpPending--;
    }
  }
}
