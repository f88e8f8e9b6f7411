// Two ends of the inner protocol over a real TCP connection, and a peer that speaks it by hand, so that it can be rude.
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Failure } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import type { RequestHead, ResponseHead } from "../../../proxy/http/message.ts";
import type {
  ClientStream,
  ClientStreamEvents,
  OutgoingRequest,
  ServerStreamEvents,
} from "../../../proxy/http/stream.ts";
import { type Clock, systemClock } from "../../../proxy/inner/clock.ts";
import { FrameReader } from "../../../proxy/inner/frame-reader.ts";
import { FrameWriter } from "../../../proxy/inner/frame-writer.ts";
import { FrameType } from "../../../proxy/inner/frames.ts";
import { defaultInnerLimits, type InnerLimits } from "../../../proxy/inner/limits.ts";
import { type InnerServing, serveInner } from "../../../proxy/inner/server-session.ts";
import type { InnerServerStream } from "../../../proxy/inner/server-stream.ts";
import { InnerUpstream } from "../../../proxy/inner/upstream.ts";

export const cleanUps: (() => void)[] = [];

export function cleanUp(): void {
  for (const clean of cleanUps.splice(0)) clean();
}

export function limitsWith(changes: Partial<InnerLimits>): InnerLimits {
  return { ...defaultInnerLimits, ...changes };
}

export async function listen(onSocket: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    cleanUps.push(() => socket.destroy());
    socket.on("error", () => socket.destroy());
    onSocket(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  cleanUps.push(() => server.close());
  return { port: (server.address() as AddressInfo).port, server };
}

export interface Receiver {
  readonly port: number;
  readonly sessions: InnerServing[];
  readonly closed: string[];
}

export async function receive(
  onRequest: (stream: InnerServerStream) => void,
  options: { limits?: InnerLimits; clock?: Clock } = {},
): Promise<Receiver> {
  const sessions: InnerServing[] = [];
  const closed: string[] = [];
  const { limits = defaultInnerLimits, clock = systemClock } = options;
  const { port } = await listen((socket) => {
    const peer = { address: "127.0.0.1", identity: "spiffe://cluster.local/ns/shop/sa/cart" };
    const onClose = (reason: string) => closed.push(reason);
    sessions.push(serveInner(socket, { peer, onRequest, onClose, limits, clock }));
  });
  return { port, sessions, closed };
}

/** Takes requests and answers only those to "/answer". */
export async function holdRequests() {
  const held: { stream: InnerServerStream; seen: Recorder }[] = [];
  const receiver = await receive((stream) => {
    const seen = new Recorder();
    stream.events = seen;
    if (stream.head.target === "/answer") {
      stream.respond(response({ bodyLength: 0 }));
      stream.end(null);
    } else held.push({ stream, seen });
  });
  return { ...receiver, held };
}

export function call(port: number, options: { limits?: InnerLimits; clock?: Clock } = {}) {
  const sockets: Socket[] = [];
  const upstream = new InnerUpstream({
    connect: () => {
      const socket = connect(port, "127.0.0.1");
      sockets.push(socket);
      return socket;
    },
    describe: "payment (127.0.0.1)",
    limits: options.limits ?? defaultInnerLimits,
    clock: options.clock ?? systemClock,
  });
  cleanUps.push(() => upstream.close());
  return { upstream, sockets };
}

export function head(changes: Partial<RequestHead> = {}): RequestHead {
  return {
    method: "GET",
    target: "/",
    authority: "payment.shop",
    scheme: "http",
    fields: new Fields(),
    bodyLength: 0,
    upgrade: null,
    expectsContinue: false,
    protocol: "HTTP/1.1",
    ...changes,
  };
}

export function request(changes: Partial<RequestHead> = {}): OutgoingRequest {
  const destination = { service: "payment", port: 8080, version: "v1" };
  return { head: head(changes), hasBody: (changes.bodyLength ?? 0) !== 0, destination };
}

export function response(changes: Partial<ResponseHead> = {}): ResponseHead {
  return { status: 200, reason: "OK", fields: new Fields(), bodyLength: -1, declaredLength: -1, ...changes };
}

/** Everything that a stream of either end has told, in order. */
export class Recorder implements ClientStreamEvents, ServerStreamEvents {
  readonly informational: ResponseHead[] = [];
  response: ResponseHead | null = null;
  readonly chunks: Buffer[] = [];
  bytes = 0;
  trailers: Fields | null = null;
  isEnded = false;
  failure: Failure | null = null;
  drains = 0;
  onEvent: () => void = () => undefined;
  /** Settles with the end or the abort. */
  readonly over: Promise<void>;
  #resolve: () => void = () => undefined;

  constructor() {
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get body(): Buffer {
    return Buffer.concat(this.chunks);
  }

  onInformational(given: ResponseHead): void {
    this.#check();
    this.informational.push(given);
  }
  onResponse(given: ResponseHead): void {
    this.#check();
    this.response = given;
    this.onEvent();
  }
  onData(chunk: Buffer): void {
    this.#check();
    this.chunks.push(chunk);
    this.bytes += chunk.length;
    this.onEvent();
  }
  onEnd(trailers: Fields | null): void {
    this.#check();
    this.isEnded = true;
    this.trailers = trailers;
    this.#resolve();
    this.onEvent();
  }
  onAbort(failure: Failure): void {
    if (this.failure !== null) throw new Error("a second abort");
    this.failure = failure;
    this.#resolve();
    this.onEvent();
  }
  onDrain(): void {
    this.drains++;
    this.onEvent();
  }

  #check(): void {
    if (this.isEnded || this.failure !== null) throw new Error("an event after the last one");
  }
}

/** Writes a whole body with regard to back pressure. */
export function send(stream: Pick<ClientStream, "write" | "end">, recorder: Recorder, body: Buffer): void {
  let at = 0;
  const pump = () => {
    while (at < body.length) {
      const chunk = body.subarray(at, at + 10_000);
      at += chunk.length;
      if (!stream.write(chunk)) break;
    }
    if (at >= body.length) {
      recorder.onDrain = () => undefined;
      stream.end(null);
    }
  };
  recorder.onDrain = pump;
  pump();
}

export interface RawFrame {
  readonly type: number;
  readonly stream: number;
  readonly isEnd: boolean;
  readonly payload: Buffer;
}

/** Speaks frames by hand over a socket. */
export class RawPeer {
  readonly frames: RawFrame[] = [];
  readonly socket: Socket;
  readonly closed: Promise<unknown>;
  #data: Buffer[] = [];
  #stream = 0;

  constructor(socket: Socket) {
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    cleanUps.push(() => socket.destroy());
    socket.on("error", () => socket.destroy());
    const reader = new FrameReader(
      {
        onDataStart: (stream) => {
          this.#stream = stream;
          this.#data = [];
        },
        onDataSlice: (slice) => this.#data.push(slice),
        onDataEnd: (isEnd) =>
          this.frames.push({ type: FrameType.data, stream: this.#stream, isEnd, payload: Buffer.concat(this.#data) }),
        onFrame: (type, stream, isEnd, payload) =>
          this.frames.push({ type, stream, isEnd, payload: Buffer.from(payload) }),
      },
      1 << 20,
    );
    socket.on("data", (chunk: Buffer) => reader.push(chunk));
    socket.on("end", () => socket.end());
  }

  static async dial(port: number): Promise<RawPeer> {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    await once(socket, "connect");
    return new RawPeer(socket);
  }

  frame(type: number, stream: number, payload: Buffer | string = "", isEnd = false): this {
    this.socket.write(rawFrame(type, stream, payload, isEnd));
    return this;
  }

  hello(window = 65_536): this {
    return this.frame(FrameType.hello, 0, u32(window));
  }

  ofType(type: number): RawFrame[] {
    return this.frames.filter((frame) => frame.type === type);
  }
}

export function rawFrame(type: number, stream: number, payload: Buffer | string = "", isEnd = false): Buffer {
  const writer = new FrameWriter();
  const bytes = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
  writer.bytes(isEnd ? type | 0x80 : type, stream, bytes);
  return Buffer.from(writer.take());
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export const requestLines = "GET\n/\npayment.shop\nhttp\nHTTP/1.1\n-1\n0\npayment\n8080\nv1";
export const responseLines = "200\nOK\n-1\n-1";
