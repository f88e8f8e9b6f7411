// The smallest exchange there can be: joins a server stream and an upstream, and turns a failure into a reply. For tests of the codec.
import net from "node:net";
import { onTestFinished } from "vitest";
import type { Failure } from "../../../../proxy/http/failure.ts";
import { Fields } from "../../../../proxy/http/fields.ts";
import type { ResponseHead } from "../../../../proxy/http/message.ts";
import type {
  ClientStream,
  ClientStreamEvents,
  ServerStream,
  ServerStreamEvents,
  Upstream,
} from "../../../../proxy/http/stream.ts";
import { defaultLimits, type Http1Limits } from "../../../../proxy/http1/limits.ts";
import { Http1Pool, type Http1PoolOptions } from "../../../../proxy/http1/pool.ts";
import { type Http1ServerConnection, serveHttp1 } from "../../../../proxy/http1/server-connection.ts";
import { Sweeper } from "../../../../proxy/http1/sweeper.ts";
import { listen } from "./raw-peer.ts";

export class RelayExchange implements ServerStreamEvents, ClientStreamEvents {
  readonly server: ServerStream;
  readonly client: ClientStream;
  readonly failures: Failure[];
  requestBytes = 0;
  responseBytes = 0;
  #isBegun = false;
  #isOver = false;

  constructor(server: ServerStream, upstream: Upstream, failures: Failure[]) {
    this.server = server;
    this.failures = failures;
    server.events = this;
    const { head } = server;
    const destination = { service: "test", port: 80, version: null };
    this.client = upstream.open(
      { head, hasBody: head.bodyLength !== 0 || head.upgrade !== null, destination },
      this.#clientEvents(),
    );
  }

  // Both ends have an onData, an onEnd, an onAbort and an onDrain: these are the server's, the client's are below.
  onData(chunk: Buffer): void {
    this.requestBytes += chunk.length;
    if (!this.client.write(chunk)) this.server.pause();
  }

  onEnd(trailers: Fields | null): void {
    this.client.end(trailers);
  }

  onAbort(failure: Failure): void {
    this.#isOver = true;
    this.failures.push(failure);
    this.client.abort(failure);
  }

  onDrain(): void {
    if (!this.#isOver) this.client.resume();
  }

  onInformational(head: ResponseHead): void {
    this.server.informational(head);
  }

  onResponse(head: ResponseHead): void {
    this.#isBegun = true;
    this.server.respond(head);
  }

  #clientEvents(): ClientStreamEvents {
    return {
      onInformational: (head) => this.onInformational(head),
      onResponse: (head) => this.onResponse(head),
      onData: (chunk) => {
        this.responseBytes += chunk.length;
        if (!this.server.write(chunk)) this.client.pause();
      },
      onEnd: (trailers) => this.server.end(trailers),
      onAbort: (failure) => {
        this.failures.push(failure);
        if (this.#isBegun || failure.status === 0) this.server.abort(failure);
        else reply(this.server, failure);
      },
      onDrain: () => this.server.resume(),
    };
  }
}

function reply(server: ServerStream, failure: Failure): void {
  const body = Buffer.from(failure.reason);
  const fields = new Fields(["x-devmesh-response-flags", failure.flag]);
  server.respond({ status: failure.status, reason: "Failed", fields, bodyLength: body.length, declaredLength: -1 });
  server.write(body);
  server.end(null);
}

export interface Relay {
  readonly port: number;
  readonly pool: Http1Pool;
  readonly connections: Set<Http1ServerConnection>;
  readonly exchanges: RelayExchange[];
  /** Every failure that a stream or a connection reported, in order. */
  readonly failures: Failure[];
}

export interface RelayOptions {
  readonly limits?: Partial<Http1Limits>;
  readonly pool?: Partial<Http1PoolOptions>;
  readonly sweeper?: Sweeper;
}

/** A proxy of one hop towards `upstreamPort`, gone when the test is. */
export async function startRelay(upstreamPort: number, options: RelayOptions = {}): Promise<Relay> {
  const limits = { ...defaultLimits, ...options.limits };
  const sweeper = options.sweeper ?? new Sweeper({ everyMs: 10 });
  const failures: Failure[] = [];
  const pool = new Http1Pool({
    connect: () => net.connect({ port: upstreamPort, host: "127.0.0.1", allowHalfOpen: true, noDelay: true }),
    limits,
    idleMs: 60_000,
    connectTimeoutMs: 5_000,
    describe: `the test's upstream at 127.0.0.1:${upstreamPort}`,
    sweeper,
    ...options.pool,
  });
  const connections = new Set<Http1ServerConnection>();
  const exchanges: RelayExchange[] = [];
  const port = await listen((socket) => {
    const connection = serveHttp1(socket, {
      peer: { address: "127.0.0.1", identity: null },
      scheme: "http",
      limits,
      sweeper,
      onRequest: (stream) => exchanges.push(new RelayExchange(stream, pool, failures)),
      onRejected: (failure) => failures.push(failure),
      onClose: () => connections.delete(connection),
    });
    connections.add(connection);
  });
  onTestFinished(() => {
    pool.close();
    for (const connection of connections) connection.close();
    sweeper.close();
  });
  return { port, pool, connections, exchanges, failures };
}
