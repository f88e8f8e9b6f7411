// Both neighbours of an exchange, played by the test: they keep to the contract of proxy/http/stream.ts, and hold the exchange to it.
import { Writable } from "node:stream";
import { type Failure, failure, unprocessed } from "../../../proxy/http/failure.ts";
import { Fields } from "../../../proxy/http/fields.ts";
import type { RequestHead, ResponseHead } from "../../../proxy/http/message.ts";
import type {
  ClientStream,
  ClientStreamEvents,
  OutgoingRequest,
  ServerStream,
  ServerStreamEvents,
} from "../../../proxy/http/stream.ts";
import { Exchange } from "../../../proxy/route/exchange.ts";
import type { Routing, Target } from "../../../proxy/route/routing.ts";
import { AccessLog } from "../../../proxy/telemetry/access-log.ts";
import { Counters } from "../../../proxy/telemetry/counters.ts";

export const requestHead = (parts: Partial<RequestHead> = {}): RequestHead => ({
  method: "GET",
  target: "/",
  authority: "payment",
  scheme: "http",
  fields: new Fields(),
  bodyLength: 0,
  upgrade: null,
  expectsContinue: false,
  protocol: "HTTP/1.1",
  ...parts,
});

export const responseHead = (status: number): ResponseHead => ({
  status,
  reason: "",
  fields: new Fields(),
  bodyLength: -1,
  declaredLength: -1,
});

export const refused: Failure = unprocessed(failure("UF", 503, "connection_failure", "refused"));
export const lost: Failure = failure("UC", 503, "connection_termination", "lost");
export const gone: Failure = failure("DC", 0, "downstream_remote_disconnect", "the client is gone");

const silent: ServerStreamEvents = {
  onData: () => undefined,
  onEnd: () => undefined,
  onAbort: () => undefined,
  onDrain: () => undefined,
};

/** The client's side. `refuse` is there between proxies only. */
export class Client implements ServerStream {
  readonly head: RequestHead;
  readonly peer = { address: "127.0.0.9", identity: null };
  events: ServerStreamEvents = silent;
  readonly violations: string[] = [];
  /** Statuses of 1xx. */
  readonly informed: number[] = [];
  status = 0;
  response: ResponseHead | null = null;
  body = "";
  isEnded = false;
  refusal: Failure | null = null;
  cut: Failure | null = null;
  isPaused = false;
  /** What `write` answers. */
  hasRoom = true;
  refuse?: (failure: Failure) => void;
  #isGone = false;

  constructor(head: RequestHead, isPeer = false) {
    this.head = head;
    if (isPeer) {
      this.refuse = (failure) => {
        this.#check("refuse");
        this.refusal = failure;
      };
    }
  }

  get isOver(): boolean {
    return this.#isGone || this.cut !== null || this.refusal !== null || (this.isEnded && this.status !== 101);
  }

  // What the client does.

  send(text: string): void {
    if (!this.isOver) this.events.onData(Buffer.from(text));
  }

  finish(): void {
    if (!this.isOver) this.events.onEnd(null);
  }

  leave(reason: Failure = gone): void {
    if (this.isOver) return;
    this.#isGone = true;
    this.events.onAbort(reason);
  }

  drain(): void {
    this.hasRoom = true;
    if (!this.isOver) this.events.onDrain();
  }

  // What the exchange does.

  informational({ status }: ResponseHead): void {
    this.#check("informational");
    this.informed.push(status);
  }

  respond(head: ResponseHead): void {
    this.#check("respond");
    if (this.status !== 0) this.violations.push("responded twice");
    this.status = head.status;
    this.response = head;
  }

  write(chunk: Buffer): boolean {
    this.#check("write");
    if (this.status === 0) this.violations.push("a body before the response");
    this.body += chunk.toString();
    return this.hasRoom;
  }

  end(): void {
    this.#check("end");
    if (this.isEnded) this.violations.push("ended twice");
    this.isEnded = true;
  }

  abort(failure: Failure): void {
    this.#check("abort");
    this.cut = failure;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  #check(what: string): void {
    if (this.isOver) this.violations.push(`${what} after the end`);
  }
}

/** One try, as the upstream sees it. */
export class Try implements ClientStream {
  events: ClientStreamEvents;
  readonly request: OutgoingRequest;
  readonly violations: string[] = [];
  body = "";
  isEnded = false;
  cut: Failure | null = null;
  isPaused = false;
  hasRoom: boolean;
  #isOver = false;

  constructor(request: OutgoingRequest, events: ClientStreamEvents, hasRoom: boolean) {
    this.request = request;
    this.events = events;
    this.hasRoom = hasRoom;
  }

  get isOver(): boolean {
    return this.#isOver || this.cut !== null;
  }

  // What the upstream does.

  inform(status: number): void {
    if (!this.isOver) this.events.onInformational(responseHead(status));
  }

  respond(status: number): void {
    if (!this.isOver) this.events.onResponse(responseHead(status));
  }

  send(text: string): void {
    if (!this.isOver) this.events.onData(Buffer.from(text));
  }

  finish(): void {
    if (this.isOver) return;
    this.#isOver = true;
    this.events.onEnd(null);
  }

  fail(failure: Failure): void {
    if (this.isOver) return;
    this.#isOver = true;
    this.events.onAbort(failure);
  }

  drain(): void {
    this.hasRoom = true;
    if (!this.isOver) this.events.onDrain();
  }

  // What the exchange does.

  write(chunk: Buffer): boolean {
    this.#check("write");
    if (!this.request.hasBody || this.isEnded) this.violations.push("a body after its end");
    this.body += chunk.toString();
    return this.hasRoom;
  }

  end(): void {
    this.#check("end");
    if (!this.request.hasBody || this.isEnded) this.violations.push("an end too many");
    this.isEnded = true;
  }

  abort(failure: Failure): void {
    if (!this.#isOver) this.cut = failure;
  }

  pause(): void {
    this.isPaused = true;
  }

  resume(): void {
    this.isPaused = false;
  }

  #check(what: string): void {
    if (this.isOver) this.violations.push(`${what} after the end`);
  }
}

export class ScriptedTarget implements Target {
  readonly workload: string;
  readonly host: string;
  readonly version = "v1";
  readonly security = "none";
  readonly tries: Try[] = [];
  /** Why each of its tries ended. */
  readonly ends: (Failure | null)[] = [];
  active = 0;
  hasRoom = true;

  constructor(workload: string) {
    this.workload = workload;
    this.host = `${workload}:8080`;
  }

  upstream() {
    return {
      open: (request: OutgoingRequest, events: ClientStreamEvents) => {
        const one = new Try(request, events, this.hasRoom);
        this.tries.push(one);
        return one;
      },
    };
  }

  begin(): void {
    this.active++;
  }

  end(failure: Failure | null): void {
    this.active--;
    this.ends.push(failure);
  }

  get last(): Try {
    const last = this.tries.at(-1);
    if (last === undefined) throw new Error(`${this.workload} was not tried`);
    return last;
  }
}

export interface Setting {
  readonly client: Client;
  readonly exchange: Exchange;
  readonly a: ScriptedTarget;
  readonly b: ScriptedTarget;
  /** Those that are there now; not tried ones are taken first, in order. */
  targets: ScriptedTarget[];
  /** Something came or went. */
  changed(): void;
  /** Callbacks that wait for a change. */
  readonly listeners: Set<() => void>;
  readonly counters: Counters;
  readonly lines: readonly string[];
}

export interface SettingOptions {
  readonly head?: Partial<RequestHead>;
  readonly routing?: Partial<Pick<Routing, "timeoutMs" | "retry" | "waitMs">>;
  readonly isPeer?: boolean;
  /** How many of the two targets are there. Default: both. */
  readonly count?: 0 | 1 | 2;
  /** Started unless false. */
  readonly isStarted?: boolean;
}

const edge = {
  reporter: "source",
  sourceWorkload: "cart",
  sourceService: "cart",
  sourceVersion: "v1",
  sourcePrincipal: "unknown",
  destinationService: "payment",
  destinationVersion: "v1",
  destinationPrincipal: "unknown",
  security: "none",
} as const;

/** Istio's default: two retries of what was certainly not processed. */
export const defaultRetry: Routing["retry"] = {
  attempts: 2,
  perTryTimeoutMs: 0,
  on: ["connect-failure", "refused-stream"],
  statusCodes: [],
};

export function startExchange(options: SettingOptions = {}): Setting {
  const { head, routing: parts, isPeer = false, count = 2, isStarted = true } = options;
  const client = new Client(requestHead(head), isPeer);
  const [a, b] = [new ScriptedTarget("a"), new ScriptedTarget("b")];
  const listeners = new Set<() => void>();
  const lines: string[] = [];
  const counters = new Counters("test");
  const log = new AccessLog(
    new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(...chunk.toString().trimEnd().split("\n"));
        done();
      },
    }),
  );
  const routing: Routing = {
    routeName: "default",
    cluster: "outbound|8080||payment",
    destination: { service: "payment", port: 8080, version: null },
    timeoutMs: 0,
    retry: defaultRetry,
    waitMs: 0,
    target: (tried) => setting.targets.find((one) => !tried.includes(one)) ?? setting.targets[0] ?? null,
    onTargets: (callback) => {
      listeners.add(callback);
      return () => listeners.delete(callback);
    },
    missing: () => unprocessed(failure("UH", 503, "no_healthy_upstream", "nobody is there")),
    edge: (target, flags) => ({ ...edge, destinationWorkload: target?.workload ?? "unknown", flags }),
    ...parts,
  };
  const exchange = new Exchange(client, routing, { counters, log, random: () => 0.5 });
  const setting: Setting = {
    client,
    exchange,
    a,
    b,
    targets: [a, b].slice(0, count),
    changed: () => {
      for (const listener of [...listeners]) listener();
    },
    listeners,
    counters,
    get lines() {
      log.flush();
      return lines;
    },
  };
  if (isStarted) exchange.start();
  return setting;
}

/** Every breach of the contract, of both sides and all tries. */
export function violationsOf({ client, a, b }: Setting): readonly string[] {
  return [...client.violations, ...[...a.tries, ...b.tries].flatMap(({ violations }) => violations)];
}
