// A listening socket whose connections wait until the proxy can serve them: nothing passes before the first config.
import net from "node:net";

/** Connections that wait in the kernel for accept. */
const backlog = 1024;
/** Connections that wait here; beyond it the newest are reset. */
const heldMax = 4096;

export class HeldServer {
  /** One per address. */
  readonly #servers: net.Server[] = [];
  readonly #accept: (socket: net.Socket) => void;
  readonly #onConnections: (change: 1 | -1) => void;
  #held: net.Socket[] | null = [];

  constructor(options: { accept: (socket: net.Socket) => void; onConnections: (change: 1 | -1) => void }) {
    this.#accept = options.accept;
    this.#onConnections = options.onConnections;
  }

  /** Resolves when bound; once per address. An IPv6 one takes IPv6 alone. Throws when the address or the port is taken. */
  async listen(port: number, host: string): Promise<void> {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) =>
      this.#take(socket),
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ port, host, backlog, ipv6Only: net.isIPv6(host) }, () => {
        server.off("error", reject);
        // Out of descriptors and the like: what cannot be accepted now waits in the kernel.
        server.on("error", () => undefined);
        resolve();
      });
    });
    this.#servers.push(server);
  }

  /** From now on connections are served at once; those that waited come first. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = null;
    for (const socket of held) if (!socket.destroyed) this.#serve(socket);
  }

  /** Takes no more connections. Those that are open go on. */
  close(): void {
    for (const server of this.#servers) server.close();
    for (const socket of this.#held ?? []) socket.destroy();
    this.#held = [];
  }

  #take(socket: net.Socket): void {
    this.#onConnections(1);
    socket.once("close", () => this.#onConnections(-1));
    socket.on("error", () => socket.destroy());
    if (this.#held === null) this.#serve(socket);
    else if (this.#held.length < heldMax) this.#held.push(socket);
    else socket.resetAndDestroy();
  }

  #serve(socket: net.Socket): void {
    this.#accept(socket);
  }
}
