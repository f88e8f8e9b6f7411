// The conversation with one proxy: opens its channel as long as its container runs, signs its certificate, brings it
// the newest config as a difference, and knows at any time what it runs.
import type { Duplex } from "node:stream";
import { CONTRACT, type ProxyConfig } from "../../proxy/contract/config.ts";
import { diff, hashResources, type Resources, toResources } from "../../proxy/contract/diff.ts";
import type { FromProxy } from "../../proxy/contract/messages.ts";
import type { Report } from "../../proxy/contract/report.ts";
import { isRenewalDue } from "../ca/renewal.ts";
import { MessageStream } from "./message-stream.ts";

export const pingEveryMs = 2_000;
/** A proxy that stays silent for this long after a ping, a hello or a config is connected anew. */
export const answerWithinMs = 2_000;
const believedForMs = 30_000;
const applyWithinMs = 10_000;
const openWithinMs = 10_000;
/** The socket of a starting sidecar appears within some 100 ms; the first tries come close together. */
const backoffFirstMs = 20;
const backoffMaxMs = 2_000;

export interface Versioned {
  readonly hash: string;
  readonly resources: Resources;
}

export interface SessionDeps {
  /** An earlier daemon saw this very process serve: believed until it speaks, or for half a minute. */
  readonly wasServing: boolean;
  /** Opens the channel to this session's container. */
  open(): Promise<Duplex>;
  nextEpoch(): Promise<number>;
  /** Signs for the identity of the container on this channel, which the daemon knows from Docker, never from the proxy. */
  sign(spki: Uint8Array<ArrayBuffer>, identity: string): Promise<SignedForProxy>;
  /** The wall clock that proxies have. */
  now(): number;
  /** Of the certificates that would be signed now. */
  lifetimeMs(): number;
  log(level: "debug" | "info" | "warn", text: string): void;
  /** `isResumed`: counted before this daemon knew the process. */
  onReport(report: Report, isResumed: boolean): void;
  onChange(): void;
}

export interface SignedForProxy {
  readonly chain: string;
  readonly roots: string;
  readonly notAfterMs: number;
  readonly lifetimeMs: number;
}

export interface SessionStatus {
  readonly state: "connecting" | "connected" | "incompatible";
  /** It said so and acked a config. Outlives a lost channel: a proxy serves on without its daemon. */
  readonly isReady: boolean;
  /** Whether its application listens on one of its ports; null: not known. Outlives a lost channel too. */
  readonly listens: boolean | null;
  /** Of the config in force, or null. */
  readonly configHash: string | null;
  readonly desiredHash: string | null;
  readonly isSynced: boolean;
  /** Why the newest config was refused or the channel is down; "" when all is well. */
  readonly reason: string;
  readonly certificateNotAfterMs: number | null;
  readonly boot: string | null;
  readonly contract: { readonly major: number; readonly minor: number } | null;
}

type Hello = Extract<FromProxy, { t: "hello" }>;

export class ProxySession implements AsyncDisposable {
  readonly #deps: SessionDeps;
  #desired: (Versioned & { identity: string }) | null = null;
  /** What the proxy runs, as far as it is known here. */
  #acked: Versioned | null = null;
  #inFlight: (Versioned & { isFull: boolean }) | null = null;
  /** A difference was refused: the whole tells whether its base was at fault. */
  #mustBeFull = false;
  /** A config that the proxy refused in full: not sent again before something else is desired. */
  #refused: { hash: string; reason: string } | null = null;
  #signed: (SignedForProxy & { identity: string }) | null = null;
  #hello: Hello | null = null;
  #saidReady = false;
  #hasConfig = false;
  #listens: boolean | null = null;
  #isResumed = false;
  #wasGreeted = false;
  #reason = "not connected yet";
  #stream: MessageStream | null = null;
  #timers = new Set<NodeJS.Timeout>();
  #pushDeadline: NodeJS.Timeout | null = null;
  #pongDeadline: NodeJS.Timeout | null = null;
  #backoffMs = backoffFirstMs;
  #retry: NodeJS.Timeout | null = null;
  #pings = 0;
  #isClosed = false;
  #isIncompatible = false;

  constructor(deps: SessionDeps) {
    this.#deps = deps;
    this.#saidReady = deps.wasServing;
    this.#hasConfig = deps.wasServing;
    if (deps.wasServing) this.#after(believedForMs, () => this.#stopBelieving());
    void this.#connect();
  }

  /** What the proxy shall run. Newest wins; equal content is not sent again. */
  setConfig(config: ProxyConfig): void {
    const resources = toResources(config);
    const hash = hashResources(resources);
    const identity = config.node.identity;
    if (this.#desired?.hash === hash) return;
    this.#desired = { hash, resources, identity };
    if (this.#hello === null) return;
    // A push may leave only once the certificate for a changed identity is on its way.
    if (this.#signed?.identity === identity) this.#push();
    else void this.#certify();
  }

  get status(): SessionStatus {
    const desiredHash = this.#desired?.hash ?? null;
    const configHash = this.#acked?.hash ?? this.#hello?.configHash ?? null;
    const isConnected = this.#hello !== null;
    return {
      state: this.#isIncompatible ? "incompatible" : isConnected ? "connected" : "connecting",
      isReady: this.#saidReady && this.#hasConfig,
      listens: this.#listens,
      configHash,
      desiredHash,
      isSynced: isConnected && desiredHash !== null && this.#acked?.hash === desiredHash,
      reason: this.#refused !== null && this.#refused.hash === desiredHash ? this.#refused.reason : this.#reason,
      certificateNotAfterMs: this.#signed?.notAfterMs ?? this.#hello?.certificateNotAfterMs ?? null,
      boot: this.#hello?.boot ?? null,
      contract: this.#hello?.contract ?? null,
    };
  }

  /** Called every second: compares with the wall clock. */
  renewIfDue(): void {
    if (this.#hello === null || this.#signed === null) return;
    if (isRenewalDue(this.#signed, this.#deps.lifetimeMs(), this.#deps.now())) void this.#certify();
  }

  /** The engine is back: a next try that waits for its time is made now. */
  hurry(): void {
    if (this.#retry === null || !this.#timers.has(this.#retry)) return;
    this.#retry = this.#cancel(this.#retry);
    this.#backoffMs = backoffFirstMs;
    void this.#connect();
  }

  /** Asks the proxy to finish what is open and exit. */
  drain(): void {
    this.#stream?.send({ t: "drain" });
  }

  #stopBelieving(): void {
    if (this.#wasGreeted) return;
    this.#saidReady = false;
    this.#deps.onChange();
  }

  async #connect(): Promise<void> {
    if (this.#isClosed || this.#isIncompatible) return;
    try {
      const epoch = await this.#deps.nextEpoch();
      const duplex = await this.#openWithDeadline();
      if (this.#isClosed) {
        duplex.destroy();
        return;
      }
      const stream: MessageStream = new MessageStream(duplex, {
        onMessage: (message) => this.#receive(stream, message),
        onEnd: (reason) => this.#ended(stream, reason),
      });
      this.#stream = stream;
      // At once: the proxy speaks first, and nothing may answer it before our own hello.
      stream.send({ t: "hello", contract: CONTRACT, epoch, takesChanges: true });
      this.#after(answerWithinMs, () => {
        if (this.#stream === stream && this.#hello === null) stream.close("the proxy sent no hello");
      });
    } catch (error) {
      this.#ended(null, error instanceof Error ? error.message : String(error));
    }
  }

  async #openWithDeadline(): Promise<Duplex> {
    let isLate = false;
    const opening = this.#deps.open().then((duplex) => {
      duplex.on("error", () => duplex.destroy());
      if (isLate) duplex.destroy();
      return duplex;
    });
    const { promise: late, reject } = Promise.withResolvers<never>();
    const timer = this.#after(openWithinMs, () => {
      isLate = true;
      reject(new Error("the channel did not open in time"));
    });
    try {
      return await Promise.race([opening, late]);
    } finally {
      this.#cancel(timer);
    }
  }

  #ended(stream: MessageStream | null, reason: string): void {
    if (stream !== this.#stream && stream !== null) return;
    stream?.close();
    this.#stream?.close();
    this.#stream = null;
    this.#hello = null;
    this.#inFlight = null;
    this.#signed = null;
    this.#pushDeadline = this.#cancel(this.#pushDeadline);
    this.#pongDeadline = this.#cancel(this.#pongDeadline);
    if (this.#isClosed || this.#isIncompatible) return;
    this.#reason = reason;
    this.#deps.log("debug", `control channel: ${reason}; again in ${this.#backoffMs} ms`);
    this.#retry = this.#after(this.#backoffMs, () => void this.#connect());
    this.#backoffMs = Math.min(this.#backoffMs * 2, backoffMaxMs);
    this.#deps.onChange();
  }

  #receive(stream: MessageStream, message: FromProxy): void {
    if (stream !== this.#stream) return;
    if (message.t === "hello") {
      if (this.#hello === null) this.#greeted(stream, message);
      else stream.close("a second hello");
      return;
    }
    if (this.#hello === null) {
      stream.close("the first message was no hello");
      return;
    }
    switch (message.t) {
      case "ack":
        this.#acknowledged(message.hash, message.ready);
        return;
      case "nack":
        this.#declined(message.hash, message.current, message.reason);
        return;
      case "ready":
        this.#saidReady = true;
        this.#deps.onChange();
        return;
      case "application":
        this.#listens = message.listens;
        this.#deps.onChange();
        return;
      case "report":
        this.#deps.onReport(message.report, this.#isResumed);
        // What comes after the first report has been counted under our eyes.
        this.#isResumed = false;
        return;
      case "pong":
        this.#pongDeadline = this.#cancel(this.#pongDeadline);
        return;
    }
  }

  #greeted(stream: MessageStream, hello: Hello): void {
    if (hello.contract.major !== CONTRACT.major) {
      this.#isIncompatible = true;
      this.#wasGreeted = true;
      // It serves what it was told until it is replaced.
      this.#hasConfig = hello.configHash !== null;
      this.#saidReady = this.#hasConfig && hello.certificateNotAfterMs !== null;
      this.#listens = hello.listens ?? null;
      this.#reason = `the proxy speaks contract ${hello.contract.major}.${hello.contract.minor}, not ${CONTRACT.major}.x`;
      this.#deps.log("warn", `${this.#reason}; it will be replaced`);
      this.#deps.onChange();
      return;
    }
    this.#hello = hello;
    this.#wasGreeted = true;
    this.#reason = "";
    this.#backoffMs = backoffFirstMs;
    // Only a base that both sides know can carry a difference.
    const known = [this.#acked, this.#desired].find((one) => one !== null && one.hash === hello.configHash);
    this.#acked = known ?? null;
    this.#isResumed = hello.configHash !== null;
    // A proxy that has a config and a certificate serves already: an adopted one never leaves the load balancing.
    const isServing = hello.configHash !== null && hello.certificateNotAfterMs !== null;
    this.#saidReady = isServing;
    this.#hasConfig = hello.configHash !== null;
    this.#listens = hello.listens ?? null;
    this.#refused = null;
    this.#mustBeFull = false;
    this.#ping(stream);
    void this.#certify();
    this.#deps.onChange();
  }

  /** Signs and sends; a config goes after its certificate, so that a proxy is never ready without one. */
  async #certify(): Promise<void> {
    const stream = this.#stream;
    const hello = this.#hello;
    const identity = this.#desired?.identity;
    if (stream === null || hello === null || identity === undefined) return;
    try {
      const signed = await this.#deps.sign(new Uint8Array(Buffer.from(hello.publicKey, "base64")), identity);
      if (this.#stream !== stream) return;
      this.#signed = { ...signed, identity };
      const { chain, roots, notAfterMs } = signed;
      stream.send({ t: "certificate", chain, roots, notAfterMs });
      if (this.#desired?.identity === identity) this.#push();
      else await this.#certify();
      this.#deps.onChange();
    } catch (error) {
      stream.close(`its public key cannot be certified: ${error instanceof Error ? error.message : error}`);
    }
  }

  #push(): void {
    const desired = this.#desired;
    const stream = this.#stream;
    if (stream === null || desired === null || this.#inFlight !== null) return;
    if (this.#refused?.hash === desired.hash) return;
    const base = this.#mustBeFull ? null : this.#acked;
    this.#inFlight = { hash: desired.hash, resources: desired.resources, isFull: base === null };
    stream.send({ t: "config", change: diff(base, desired.resources, desired.hash) });
    this.#pushDeadline = this.#cancel(this.#pushDeadline);
    this.#pushDeadline = this.#after(applyWithinMs, () => stream.close("no answer to a config"));
  }

  #acknowledged(hash: string, isReady: boolean): void {
    if (this.#inFlight?.hash !== hash) return;
    this.#acked = { hash, resources: this.#inFlight.resources };
    this.#hasConfig = true;
    this.#saidReady ||= isReady;
    this.#mustBeFull = false;
    this.#refused = null;
    this.#settled();
  }

  /** The proxy keeps what it has. A refused difference is sent again in full; a refused whole waits for the next change. */
  #declined(hash: string, current: string | null, reason: string): void {
    if (this.#inFlight?.hash !== hash) return;
    this.#mustBeFull = !this.#inFlight.isFull;
    if (this.#inFlight.isFull) {
      this.#refused = { hash, reason: `it refused the config: ${reason}` };
      this.#deps.log("warn", `config ${hash} refused: ${reason}`);
    }
    if (this.#acked?.hash !== current) this.#acked = null;
    this.#settled();
  }

  #settled(): void {
    this.#inFlight = null;
    this.#pushDeadline = this.#cancel(this.#pushDeadline);
    if (this.#desired !== null && this.#desired.hash !== this.#acked?.hash) this.#push();
    this.#deps.onChange();
  }

  #ping(stream: MessageStream): void {
    this.#after(pingEveryMs, () => {
      if (this.#stream !== stream) return;
      if (this.#pongDeadline === null) {
        stream.send({ t: "ping", n: ++this.#pings });
        this.#pongDeadline = this.#after(answerWithinMs, () => stream.close("no answer to a ping"));
      }
      this.#ping(stream);
    });
  }

  #after(ms: number, run: () => void): NodeJS.Timeout {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      if (!this.#isClosed) run();
    }, ms);
    this.#timers.add(timer);
    return timer;
  }

  #cancel(timer: NodeJS.Timeout | null): null {
    if (timer !== null) {
      clearTimeout(timer);
      this.#timers.delete(timer);
    }
    return null;
  }

  close(): void {
    this.#isClosed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#stream?.close();
    this.#stream = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
  }
}
