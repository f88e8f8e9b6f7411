// One request from its head to the last byte of its response: tries, deadline, both bodies, record.

import { type Failure, failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { ResponseHead } from "../http/message.ts";
import type { ServerStream, ServerStreamEvents } from "../http/stream.ts";
import type { AccessLog } from "../telemetry/access-log.ts";
import type { Counters } from "../telemetry/counters.ts";
import { Attempt } from "./attempt.ts";
import { recordRequest } from "./record.ts";
import { replyTo } from "./replies.ts";
import { RequestSoFar } from "./request-so-far.ts";
import { retryAfterFailure, retryAfterResponse, type Verdict } from "./retry.ts";
import type { Reached, Routing, Target } from "./routing.ts";
import type { Random } from "./split.ts";

/** Envoy's base interval between tries, full jitter, doubled per try, at most ten times the base. */
const backoffBaseMs = 25;
/** Between tries while a request waits for an endpoint that takes it: the table need not change for one to come back. */
const waitingTryMs = 250;

export interface ExchangeDeps {
  readonly counters: Counters;
  readonly log: AccessLog;
  readonly random: Random;
}

export class Exchange implements ServerStreamEvents {
  readonly stream: ServerStream;
  readonly routing: Routing;
  readonly #deps: ExchangeDeps;
  readonly startMs = Date.now();
  readonly #started = performance.now();
  readonly tried: Target[] = [];
  #last: Reached | null = null;
  #attempt: Attempt | null = null;
  #deadline: NodeJS.Timeout | null = null;
  /** Between two tries: ends the wait for the next one. */
  #waiting: (() => void) | null = null;
  /** When waiting for an endpoint ends, by performance.now(); set when it begins. */
  #waitsUntil = 0;
  readonly #sent = new RequestSoFar();
  /** No try so far can have shown anything of the request to an application. */
  #isUnseen = true;
  requestBytes = 0;
  responseBytes = 0;
  #trailers: Fields | null = null;
  #isRequestEnded: boolean;
  status = 0;
  #flags = "-";
  #isUpgraded = false;
  #isResponseEnded = false;
  isDone = false;

  constructor(stream: ServerStream, routing: Routing, deps: ExchangeDeps) {
    this.stream = stream;
    this.routing = routing;
    this.#deps = deps;
    this.#isRequestEnded = stream.head.bodyLength === 0 && stream.head.upgrade === null;
    stream.events = this;
  }

  start(): void {
    const { timeoutMs } = this.routing;
    if (timeoutMs > 0) this.#deadline = setTimeout(() => this.#onDeadline(), timeoutMs);
    this.#next();
  }

  get durationMs(): number {
    return performance.now() - this.#started;
  }

  get retries(): number {
    return Math.max(0, this.tried.length - 1);
  }

  /** A try at what is there now; without that the request waits or fails. */
  #next(): void {
    const target = this.routing.target(this.tried);
    if (target !== null) this.#try(target);
    else if (this.#mayWait()) this.#wait(this.routing.missing());
    else this.fail(this.routing.missing());
  }

  #try(target: Target): void {
    this.#stopWaiting();
    this.tried.push(target);
    const { host, workload, version, security } = target;
    this.#last = { host, workload, version, security };
    const attempt = new Attempt(this, target, this.routing.retry.perTryTimeoutMs);
    this.#attempt = attempt;
    const hasBody = this.stream.head.bodyLength !== 0 || this.stream.head.upgrade !== null;
    attempt.open({ head: this.stream.head, hasBody, destination: this.routing.destination });
    const hasRoom = this.#sent.sendTo(attempt);
    if (this.#sent.isFull) this.#sent.drop();
    if (hasBody && this.#isRequestEnded) attempt.endRequest(this.#trailers);
    if (hasRoom) this.stream.resume();
    else this.stream.pause();
  }

  /** Only a request that nobody has seen any of, and that can still be sent whole, may be held. */
  #mayWait(): boolean {
    if (this.routing.waitMs === 0 || !this.#isUnseen || !this.#sent.isWhole) return false;
    if (this.#waitsUntil === 0) this.#waitsUntil = performance.now() + this.routing.waitMs;
    return performance.now() < this.#waitsUntil;
  }

  /**
   * Holds the request until there is a target, or the service's time for that is over: then it fails with `reason`. The
   * client is read on meanwhile, as far as that can be kept: one that goes away is heard only so.
   */
  #wait(reason: Failure): void {
    this.#stopWaiting();
    const timer = setTimeout(
      () => {
        this.#stopWaiting();
        this.fail(this.routing.target(this.tried) === null ? this.routing.missing() : reason);
      },
      Math.max(0, this.#waitsUntil - performance.now()),
    );
    const tryNow = () => {
      const target = this.routing.target(this.tried);
      if (target !== null) this.#try(target);
    };
    const again = setInterval(tryNow, waitingTryMs);
    const cancel = this.routing.onTargets(tryNow);
    this.#waiting = () => {
      clearTimeout(timer);
      clearInterval(again);
      cancel();
    };
  }

  #stopWaiting(): void {
    this.#waiting?.();
    this.#waiting = null;
  }

  // The request, from the server stream.

  onData(chunk: Buffer): void {
    if (this.isDone) return;
    this.requestBytes += chunk.length;
    this.#sent.push(chunk);
    if (this.#attempt === null) {
      // Between two tries nothing may be lost: what is too much to keep stays with the client.
      if (this.#sent.isFull) this.stream.pause();
      return;
    }
    if (this.#sent.isFull) this.#sent.drop();
    if (!this.#attempt.write(chunk)) this.stream.pause();
  }

  onEnd(trailers: Fields | null): void {
    if (this.isDone) return;
    this.#isRequestEnded = true;
    this.#trailers = trailers;
    this.#attempt?.endRequest(trailers);
    if (this.#isUpgraded && this.#isResponseEnded) this.#finish(null);
  }

  onAbort(reason: Failure): void {
    if (this.isDone) return;
    this.#attempt?.abort(reason);
    // The codec answers a broken request itself, with this status.
    if (this.status === 0) this.status = reason.status;
    this.#finish(reason);
  }

  onDrain(): void {
    this.#attempt?.resumeResponse();
  }

  // The response, from the attempt in force.

  onRequestDrain(): void {
    if (!this.isDone) this.stream.resume();
  }

  /** Whoever answers has begun: as in Envoy, no other is asked from here on. */
  onInformational(head: ResponseHead): void {
    if (this.isDone) return;
    this.#sent.drop();
    this.stream.informational(head);
  }

  onResponse(head: ResponseHead): void {
    const verdict = this.#sent.isWhole ? retryAfterResponse(this.routing.retry, head, this.retries) : "no";
    if (verdict === "retry" && this.routing.target(this.tried) !== null) {
      this.#attempt?.abort(failure("LR", 503, "retry", `a response with status ${head.status} is retried`));
      this.#isUnseen = false;
      this.#retry();
      return;
    }
    if (verdict === "exhausted") this.#flags = "URX";
    this.status = head.status;
    this.#sent.drop();
    if (head.status === 101) {
      this.#isUpgraded = true;
      this.#clearDeadline();
    }
    this.stream.respond(head);
  }

  onResponseData(chunk: Buffer): void {
    this.responseBytes += chunk.length;
    if (!this.stream.write(chunk)) this.#attempt?.pauseResponse();
  }

  onResponseEnd(trailers: Fields | null): void {
    this.#isResponseEnded = true;
    this.stream.end(trailers);
    if (this.#isUpgraded && !this.#isRequestEnded) return;
    if (!this.#isRequestEnded) {
      // An early response: whatever of the body still comes is nobody's any more.
      this.#attempt?.abort(failure("LR", 0, "early_response", "the response was complete before the request"));
    }
    this.#finish(null);
  }

  onAttemptFailed(reason: Failure): void {
    if (this.isDone) return;
    this.#attempt = null;
    if (!reason.isUnprocessed) this.#isUnseen = false;
    const verdict = this.#sent.isWhole ? retryAfterFailure(this.routing.retry, reason, this.retries) : "no";
    const last = this.retries > 0 ? afterTries(reason, this.tried.length, verdict) : reason;
    if (verdict === "retry" && this.routing.target(this.tried) !== null) this.#retry();
    else if (reason.isUnprocessed && this.#mayWait()) this.#wait(last);
    else this.fail(last);
  }

  /** Ends the exchange with a reply of the proxy's own, or by cutting what was begun. */
  fail(reason: Failure): void {
    if (this.isDone) return;
    this.#attempt?.abort(reason);
    if (this.status === 0 && reason.isUnprocessed && this.#isUnseen && this.stream.refuse !== undefined) {
      this.status = reason.status;
      this.stream.refuse(reason);
    } else if (this.status === 0 && reason.status > 0) {
      const { head, body } = replyTo(reason);
      this.status = head.status;
      this.responseBytes = this.stream.head.method === "HEAD" ? 0 : body.length;
      this.stream.respond(head);
      this.stream.write(body);
      this.stream.end(null);
    } else {
      this.stream.abort(reason);
    }
    this.#finish(reason);
  }

  /** At once where it was not tried; after a pause where it was. */
  #retry(): void {
    this.#attempt = null;
    const target = this.routing.target(this.tried);
    if (target !== null && !this.tried.includes(target)) {
      this.#try(target);
      return;
    }
    const ceiling = Math.min(backoffBaseMs * 2 ** this.retries, backoffBaseMs * 10);
    const timer = setTimeout(() => {
      this.#waiting = null;
      this.#next();
    }, this.#deps.random() * ceiling);
    this.#waiting = () => clearTimeout(timer);
  }

  #onDeadline(): void {
    const { timeoutMs } = this.routing;
    const where = this.tried.at(-1)?.workload ?? "any endpoint";
    this.fail(
      failure(
        "UT",
        504,
        "upstream_response_timeout",
        `no complete response from ${where} within the route's timeout of ${timeoutMs} ms`,
      ),
    );
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #finish(reason: Failure | null): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#clearDeadline();
    this.#stopWaiting();
    this.#attempt?.close(reason);
    this.#attempt = null;
    this.#sent.drop();
    this.#record(reason);
  }

  #record(reason: Failure | null): void {
    const { routing, startMs, durationMs, status, requestBytes, responseBytes, retries } = this;
    const { cluster, routeName } = routing;
    const edge = routing.edge(this.#last, reason?.flag ?? this.#flags);
    const upstreamHost = this.#last?.host ?? "-";
    const sizes = { requestBytes, responseBytes, retries };
    const outcome = { edge, cluster, routeName, upstreamHost, status, failure: reason, startMs, durationMs, ...sizes };
    recordRequest(this.stream, outcome, this.#deps);
  }
}

/** Says how many tries there were; the flag says it only where the policy's limit is what ended them. */
function afterTries(reason: Failure, tries: number, verdict: Verdict): Failure {
  const isLimit = verdict === "exhausted" && reason.flag !== "UF" && reason.flag !== "UH";
  // The peer's proxy may have counted its own tries already.
  const text = `${reason.reason.replace(/ \(\d+ tries\)$/, "")} (${tries} tries)`;
  return { ...reason, flag: isLimit ? "URX" : reason.flag, reason: text };
}
