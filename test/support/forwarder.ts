// Stands between a client and a unix socket, and can stop: no bytes, no FIN, no answer to those who connect meanwhile.
import { connect, createServer, type Server, type Socket } from "node:net";

export class Forwarder implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Those that connected while it was frozen. */
  #waiting: Socket[] = [];
  #isFrozen = false;
  readonly #target: string;

  private constructor(target: string) {
    this.#target = target;
    this.#server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (client) => {
      this.#keep(client);
      if (this.#isFrozen) this.#waiting.push(client);
      else this.#join(client);
    });
  }

  static async start(target: string): Promise<Forwarder> {
    const forwarder = new Forwarder(target);
    await new Promise<void>((resolve) => forwarder.#server.listen(0, "127.0.0.1", resolve));
    return forwarder;
  }

  /** For DOCKER_HOST. */
  get url(): string {
    const address = this.#server.address();
    return `tcp://127.0.0.1:${typeof address === "object" && address !== null ? address.port : 0}`;
  }

  freeze(): void {
    this.#isFrozen = true;
    for (const socket of this.#sockets) socket.pause();
  }

  /** What was written meanwhile arrives now. */
  thaw(): void {
    this.#isFrozen = false;
    for (const client of this.#waiting.splice(0)) this.#join(client);
    for (const socket of this.#sockets) socket.resume();
  }

  #join(client: Socket): void {
    if (client.destroyed) return;
    const engine = connect({ path: this.#target, allowHalfOpen: true });
    this.#keep(engine);
    for (const [from, to] of [
      [client, engine],
      [engine, client],
    ] as const) {
      from.on("data", (chunk: Buffer) => {
        if (to.write(chunk)) return;
        from.pause();
        to.once("drain", () => {
          if (!this.#isFrozen) from.resume();
        });
      });
      from.on("end", () => to.end());
      from.on("close", () => to.destroy());
    }
    client.resume();
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#sockets.delete(socket));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }
}
