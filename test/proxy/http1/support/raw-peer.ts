// A rude peer: says bytes as given, keeps what it hears as latin1, and waits for events rather than for time.
import net from "node:net";
import { onTestFinished } from "vitest";
import { eventually } from "../../../support/eventually.ts";

export class RawPeer {
  readonly socket: net.Socket;
  heard = "";
  isEnded = false;
  isClosed = false;
  error: NodeJS.ErrnoException | null = null;

  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.heard += chunk.toString("latin1");
    });
    socket.on("end", () => {
      this.isEnded = true;
    });
    socket.on("error", (error) => {
      this.error = error;
    });
    socket.on("close", () => {
      this.isClosed = true;
    });
    onTestFinished(() => {
      socket.destroy();
    });
  }

  static async connect(port: number): Promise<RawPeer> {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    const peer = new RawPeer(socket);
    await eventually(() => {
      if (socket.connecting) throw new Error("not connected");
    });
    return peer;
  }

  say(text: string): void {
    this.socket.write(text, "latin1");
  }

  async hears(part: string): Promise<void> {
    await eventually(() => {
      if (!this.heard.includes(part))
        throw new Error(`did not hear ${JSON.stringify(part)}, but ${JSON.stringify(this.heard.slice(0, 2000))}`);
    });
  }

  async ends(): Promise<void> {
    await eventually(() => {
      if (!this.isEnded && !this.isClosed)
        throw new Error(`not ended; heard ${JSON.stringify(this.heard.slice(0, 2000))}`);
    });
  }

  async closes(): Promise<void> {
    await eventually(() => {
      if (!this.isClosed) throw new Error(`not closed; heard ${JSON.stringify(this.heard.slice(0, 2000))}`);
    });
  }
}

/** A TCP server on a port of its own that is gone when the test is. */
export async function listen(onSocket: (socket: net.Socket) => void): Promise<number> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => sockets.delete(socket));
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as net.AddressInfo).port;
}

/** A raw upstream: the peers of its connections, in order. */
export async function startRawUpstream(): Promise<{
  port: number;
  peers: RawPeer[];
  peer(index: number): Promise<RawPeer>;
}> {
  const sockets: net.Socket[] = [];
  const peers: RawPeer[] = [];
  const port = await listen((socket) => {
    sockets.push(socket);
    peers.push(new RawPeer(socket));
  });
  const peer = (index: number): Promise<RawPeer> =>
    eventually(() => {
      const found = peers[index];
      if (found === undefined) throw new Error(`no upstream connection ${index}`);
      return found;
    });
  return { port, peers, peer };
}
