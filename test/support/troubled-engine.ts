// Docker's API through a door that makes trouble: slow calls, and an event stream that loses, repeats, shuffles or says nothing.
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export type EventTrouble = "none" | "lose" | "repeat" | "shuffle" | "silence";

/** Events that are handed on in reverse order, together. */
const shuffleWindowMs = 300;
const callsKeptMax = 10_000;

export interface Call {
  readonly method: string;
  /** Without the version and the query. */
  readonly path: string;
}

export class TroubledEngine implements AsyncDisposable {
  /** For DOCKER_HOST. */
  readonly url: string;
  readonly socket: string;
  /** Each call takes so much longer. */
  delayMs = 0;
  trouble: EventTrouble = "none";
  /** Called when the engine has done it, before its answer is handed on. */
  onAnswered: (call: Call) => void = () => undefined;
  /** Everything that was asked, the oldest first. */
  readonly calls: Call[] = [];
  readonly #folder: string;
  readonly #server: Server;
  readonly #target: string;
  readonly #sockets = new Set<Socket>();

  private constructor(target: string) {
    this.#target = target;
    this.#folder = mkdtempSync(path.join(tmpdir(), "dm-door-"));
    this.socket = path.join(this.#folder, "docker.sock");
    this.url = `unix://${this.socket}`;
    this.#server = createServer((asked, response) =>
      this.#after(asked, (call) => this.#forward(call, asked, response)),
    );
    this.#server.on("upgrade", (asked, client: Socket, head) =>
      this.#after(asked, (call) => this.#upgrade(call, asked, { client, head })),
    );
    this.#server.on("connection", (socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => this.#sockets.delete(socket));
    });
  }

  /** `target`: the engine's unix socket. */
  static async start(target = "/var/run/docker.sock"): Promise<TroubledEngine> {
    const engine = new TroubledEngine(target);
    await new Promise<void>((resolve) => engine.#server.listen(engine.socket, resolve));
    return engine;
  }

  #after(asked: IncomingMessage, run: (call: Call) => void): void {
    const { pathname } = new URL(asked.url ?? "/", "http://engine");
    const call = { method: asked.method ?? "", path: pathname.replace(/^\/v\d+\.\d+/, "") };
    this.calls.push(call);
    if (this.calls.length > callsKeptMax) this.calls.shift();
    if (this.delayMs > 0) setTimeout(run, this.delayMs, call);
    else run(call);
  }

  #forward(call: Call, asked: IncomingMessage, response: ServerResponse): void {
    const { method = "GET", url = "/", headers } = asked;
    const passed = request({ socketPath: this.#target, method, path: url, headers }, (answer) => {
      this.onAnswered(call);
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      response.flushHeaders();
      answer.on("error", () => response.destroy());
      answer.on("end", () => response.end());
      if (/\/events\?/.test(url)) this.#tell(answer, response);
      else answer.on("data", (chunk) => response.write(chunk));
    });
    passed.on("error", () => response.destroy());
    response.on("close", () => passed.destroy());
    asked.on("data", (chunk) => passed.write(chunk));
    asked.on("end", () => passed.end());
  }

  #upgrade(call: Call, asked: IncomingMessage, { client, head }: { client: Socket; head: Buffer }): void {
    const engine = connect(this.#target);
    engine.on("error", () => client.destroy());
    const pairs = Array.from({ length: asked.rawHeaders.length / 2 }, (_, i) =>
      asked.rawHeaders.slice(2 * i, 2 * i + 2),
    );
    const lines = [`${asked.method} ${asked.url} HTTP/1.1`, ...pairs.map((pair) => pair.join(": "))];
    engine.write(`${lines.join("\r\n")}\r\n\r\n`);
    engine.write(head);
    engine.once("data", () => this.onAnswered(call));
    engine.on("data", (chunk) => client.write(chunk));
    client.on("data", (chunk) => engine.write(chunk));
    engine.on("end", () => client.end());
    client.on("end", () => engine.end());
    engine.on("close", () => client.destroy());
    client.on("close", () => engine.destroy());
  }

  #tell(answer: IncomingMessage, response: ServerResponse): void {
    let rest = "";
    let kept: string[] = [];
    let count = 0;
    const tell = (line: string): void => {
      if (!response.writableEnded && !response.destroyed) response.write(`${line}\n`);
    };
    answer.setEncoding("utf8").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        count++;
        if (this.trouble === "none" || (this.trouble === "lose" && count % 2 === 0)) tell(line);
        if (this.trouble === "repeat") for (let i = 0; i < 3; i++) tell(line);
        if (this.trouble !== "shuffle") continue;
        kept.push(line);
        if (kept.length > 1) continue;
        setTimeout(() => {
          for (const one of kept.reverse()) tell(one);
          kept = [];
        }, shuffleWindowMs);
      }
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
