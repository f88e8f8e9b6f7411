// The proxy's end of the control channel, speaking the contract over a real unix socket, told by each test how to behave.
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { LineCutter } from "../../../daemon/api/ndjson.ts";
import type { ProxyConfig } from "../../../proxy/contract/config.ts";
import { applyChange, type Resources } from "../../../proxy/contract/diff.ts";
import type { FromProxy, ToProxy } from "../../../proxy/contract/messages.ts";

export class ControlPeer implements AsyncDisposable {
  readonly #folder: string;
  readonly #server: Server;
  readonly received: ToProxy[] = [];
  socket: Socket | null = null;
  connections = 0;
  force: { hash: string; resources: Resources } | null = null;
  publicKey: string;
  boot = "boot-1";
  major = 1;
  /** As the real proxy does; false answers the daemon's hello. */
  speaksFirst = false;
  certificateNotAfterMs: number | null = null;
  /** Null: acks and nacks as a real proxy does. */
  answer: ((message: ToProxy, peer: ControlPeer) => boolean) | null = null;

  private constructor(folder: string, server: Server) {
    this.#folder = folder;
    this.#server = server;
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.publicKey = publicKey.export({ type: "spki", format: "der" }).toString("base64");
  }

  static async start(): Promise<ControlPeer> {
    const folder = await mkdtemp(join(tmpdir(), "peer-"));
    const server = createServer();
    const peer = new ControlPeer(folder, server);
    server.on("connection", (socket) => peer.#accept(socket));
    server.listen(join(folder, "s"));
    await once(server, "listening");
    return peer;
  }

  async open(): Promise<Duplex> {
    const socket = connect(join(this.#folder, "s"));
    await once(socket, "connect");
    return socket;
  }

  #accept(socket: Socket): void {
    this.socket = socket;
    this.connections++;
    const cutter = new LineCutter(1 << 24);
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk) => {
      for (const line of cutter.push(chunk)) this.#receive(JSON.parse(line) as ToProxy);
    });
    if (this.speaksFirst) this.hello();
  }

  #receive(message: ToProxy): void {
    this.received.push(message);
    if (this.answer?.(message, this) === true) return;
    if (message.t === "hello" && !this.speaksFirst) this.hello();
    if (message.t === "certificate") this.certificateNotAfterMs = message.notAfterMs;
    if (message.t === "ping") this.send({ t: "pong", n: message.n });
    if (message.t === "config") this.apply(message);
  }

  hello(): void {
    this.send({
      t: "hello",
      contract: { major: this.major, minor: 0 },
      boot: this.boot,
      publicKey: this.publicKey,
      configHash: this.force?.hash ?? null,
      certificateNotAfterMs: this.certificateNotAfterMs,
    });
  }

  apply(message: Extract<ToProxy, { t: "config" }>): void {
    const { change } = message;
    try {
      this.force = { hash: change.hash, resources: applyChange(this.force, change) };
      this.send({ t: "ack", hash: change.hash, ready: true });
    } catch (error) {
      const reason = error instanceof Error ? error.message : "";
      this.send({ t: "nack", hash: change.hash, current: this.force?.hash ?? null, reason });
    }
  }

  send(message: FromProxy): void {
    this.socket?.write(`${JSON.stringify(message)}\n`);
  }

  of<T extends ToProxy["t"]>(kind: T): Extract<ToProxy, { t: T }>[] {
    return this.received.filter((message): message is Extract<ToProxy, { t: T }> => message.t === kind);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket?.destroy();
    this.#server.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

export function configOf(service: string, change: Partial<ProxyConfig> = {}): ProxyConfig {
  return {
    node: {
      kind: "sidecar",
      mesh: "shop",
      namespace: "shop",
      trustDomain: "cluster.local",
      service,
      version: null,
      workload: `${service}-1`,
      identity: `spiffe://cluster.local/ns/shop/sa/${service}`,
      meshSubnet: "10.0.0.0/24",
      addresses: ["10.0.0.2"],
      names: {},
    },
    services: {},
    endpoints: {},
    inbound: null,
    listeners: {},
    ...change,
  };
}
