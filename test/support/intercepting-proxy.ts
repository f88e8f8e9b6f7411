// A corporate proxy on loopback: takes CONNECT for one host, ends its TLS with a certificate of its own authority, and fetches what is
// asked for from an upstream over plain HTTP.
import { once } from "node:events";
import http from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { pipeline } from "node:stream";
import { createSecureContext, TLSSocket } from "node:tls";
import { testCa } from "./certificates.ts";

export class InterceptingProxy {
  /** PEM. */
  readonly authority: string;
  /** Paths that were asked for inside of the tunnels. */
  readonly paths: string[] = [];
  /** `host:port` of tunnels that were refused. */
  readonly refused: string[] = [];
  readonly #server: http.Server;
  readonly #inner: http.Server;
  readonly #sockets = new Set<Socket>();

  private constructor(authority: string, upstream: string) {
    this.authority = authority;
    this.#inner = http.createServer((request, response) => {
      this.paths.push(request.url ?? "");
      const { host: _host, ...headers } = request.headers;
      const onward = http.get(new URL(request.url ?? "/", upstream), { headers }, (answer) => {
        // Whoever asked may have gone away meanwhile, as apt does once it has what it wants.
        if (response.destroyed) return void answer.destroy();
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        pipeline(answer, response, () => undefined);
      });
      onward.on("error", () => response.destroy());
      response.on("error", () => undefined).on("close", () => onward.destroy());
    });
    this.#server = http.createServer((_request, response) => response.writeHead(405).end());
  }

  /** Ready when it listens. `host` need not exist; `upstream` is an http origin. */
  static async listen({ host, upstream }: { host: string; upstream: string }): Promise<InterceptingProxy> {
    const authority = await testCa("an interceptor");
    const { key, chain } = await authority.issue({ uris: [], dns: [host] });
    const proxy = new InterceptingProxy(authority.roots, upstream);
    const secureContext = createSecureContext({ key, cert: chain });
    proxy.#server.on("connect", (request, socket: Socket) => {
      proxy.#sockets.add(socket);
      socket.on("error", () => undefined).on("close", () => proxy.#sockets.delete(socket));
      if (request.url !== `${host}:443`) {
        proxy.refused.push(request.url ?? "");
        socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
        return;
      }
      socket.write("HTTP/1.1 200 Connection established\r\n\r\n");
      const inner = new TLSSocket(socket, { isServer: true, secureContext });
      inner.on("error", () => socket.destroy());
      proxy.#inner.emit("connection", inner);
    });
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
