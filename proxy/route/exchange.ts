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
import { retryAfterFailure, retryAfterResponse } from "./retry.ts";
import type { Routing, Target } from "./routing.ts";
import type { Random } from "./split.ts";

/** A request body is kept for replay up to this many bytes; a longer one is sent once (Linkerd's figure). */
const replayBytesMax = 64 * 1024;
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
  #attempt: Attempt | null = null;
  #deadline: NodeJS.Timeout | null = null;
  #waiting: (() => void) | null = null;
  /** When waiting for an endpoint ends, by performance.now(); set when it begins. */
  #waitsUntil = 0;
  /** Chunks already handed to a try; null once they are too many to keep. */
  #replay: Buffer[] | null = [];
  requestBytes = 0;
  responseBytes = 0;
  #trailers: Fields | null = null;
  #isRequestEnded: boolean;
  status = 0;
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
    this.#try();
  }

  get durationMs(): number {
    return performance.now() - this.#started;
  }

  get retries(): number {
    return Math.max(0, this.tried.length - 1);
  }

  #try(): void {
    const target = this.routing.target(this.tried);
    if (target === null) {
      if (this.#mayWait()) this.#wait(this.routing.missing());
      else this.fail(this.routing.missing());
      return;
    }
    this.#stopWaiting();
    this.tried.push(target);
    const attempt = new Attempt(this, target, this.routing.retry.perTryTimeoutMs);
    this.#attempt = attempt;
    const hasBody = this.stream.head.bodyLength !== 0 || this.stream.head.upgrade !== null;
    attempt.open({ head: this.stream.head, hasBody, destination: this.routing.destination });
    if (this.#replay !== null) for (const chunk of this.#replay) attempt.write(chunk);
    if (hasBody && this.#isRequestEnded) attempt.endRequest(this.#trailers);
    this.stream.resume();
  }

  /** Only a request that nobody has seen any of, and that can still be sent whole, may be held. */
  #mayWait(): boolean {
    if (this.routing.waitMs === 0 || !this.#canReplay()) return false;
    if (this.#waitsUntil === 0) this.#waitsUntil = performance.now() + this.routing.waitMs;
    return performance.now() < this.#waitsUntil;
  }

  /** Holds the request until there is a target, or the service's time for that is over: then it fails with `reason`. */
  #wait(reason: Failure): void {
    this.#stopWaiting();
    this.stream.pause();
    const timer = setTimeout(
      () => {
        this.#stopWaiting();
        this.fail(this.routing.target(this.tried) === null ? this.routing.missing() : reason);
      },
      Math.max(0, this.#waitsUntil - performance.now()),
    );
    const tryNow = () => {
      if (!this.isDone && this.routing.target(this.tried) !== null) this.#try();
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
    if (this.requestBytes > replayBytesMax || this.status !== 0) this.#replay = null;
    this.#replay?.push(chunk);
    if (this.#attempt?.write(chunk) === false) this.stream.pause();
  }

  onEnd(trailers: Fields | null): void {
    if (this.isDone) return;
    this.#isRequestEnded = true;
    this.#trailers = trailers;
    this.#attempt?.endRequest(trailers);
    if (this.#isUpgraded && this.#isResponseEnded) this.#finish("-", null);
  }

  onAbort(reason: Failure): void {
    if (this.isDone) return;
    this.#attempt?.abort(reason);
    this.#finish(reason.flag, reason);
  }

  onDrain(): void {
    this.#attempt?.resumeResponse();
  }

  // The response, from the attempt in force.

  onRequestDrain(): void {
    if (!this.isDone) this.stream.resume();
  }

  onInformational(head: ResponseHead): void {
    if (!this.isDone) this.stream.informational(head);
  }

  onResponse(head: ResponseHead): void {
    if (this.#canReplay() && retryAfterResponse(this.routing.retry, head, this.retries)) {
      this.#attempt?.abort(failure("LR", 503, "retry", `a response with status ${head.status} is retried`));
      this.#retry();
      return;
    }
    this.status = head.status;
    this.#replay = null;
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
    this.#finish("-", null);
  }

  onAttemptFailed(reason: Failure): void {
    if (this.isDone) return;
    const failed = this.retries > 0 ? exhausted(reason, this.tried.length) : reason;
    if (this.status !== 0 || !this.#canReplay()) this.fail(failed);
    else if (retryAfterFailure(this.routing.retry, reason, this.retries)) this.#retry();
    else if (reason.isUnprocessed && this.#mayWait()) this.#wait(failed);
    else this.fail(failed);
  }

  /** Ends the exchange with a reply of the proxy's own, or by cutting what was begun. */
  fail(reason: Failure): void {
    if (this.isDone) return;
    this.#attempt?.abort(reason);
    if (this.status === 0 && reason.isUnprocessed && this.stream.refuse !== undefined) {
      this.status = reason.status;
      this.stream.refuse(reason);
    } else if (this.status === 0 && reason.status > 0) {
      const { head, body } = replyTo(reason);
      this.status = head.status;
      this.responseBytes = body.length;
      this.stream.respond(head);
      this.stream.write(body);
      this.stream.end(null);
    } else {
      this.stream.abort(reason);
    }
    this.#finish(reason.flag, reason);
  }

  #canReplay(): boolean {
    return this.#replay !== null;
  }

  #retry(): void {
    this.#attempt = null;
    this.stream.pause();
    const isElsewhere = this.routing.target(this.tried) !== this.tried.at(-1);
    const ceiling = Math.min(backoffBaseMs * 2 ** this.retries, backoffBaseMs * 10);
    if (isElsewhere) this.#try();
    else setTimeout(() => this.isDone || this.#try(), this.#deps.random() * ceiling);
  }

  #onDeadline(): void {
    const { timeoutMs } = this.routing;
    const where = this.tried.at(-1)?.workload ?? "any endpoint";
    this.fail(
      failure(
        "UT",
        504,
        "response_timeout",
        `no complete response from ${where} within the route's timeout of ${timeoutMs} ms`,
      ),
    );
  }

  #clearDeadline(): void {
    if (this.#deadline !== null) clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  #finish(flags: string, reason: Failure | null): void {
    if (this.isDone) return;
    this.isDone = true;
    this.#clearDeadline();
    this.#stopWaiting();
    this.#attempt?.close(reason);
    this.#attempt = null;
    this.#replay = null;
    this.#record(flags, reason);
  }

  #record(flags: string, reason: Failure | null): void {
    const { routing, startMs, durationMs, status, requestBytes, responseBytes, retries } = this;
    const target = this.tried.at(-1) ?? null;
    const { cluster, routeName } = routing;
    const edge = routing.edge(target, flags);
    const upstreamHost = target?.host ?? "-";
    const sizes = { requestBytes, responseBytes, retries };
    const outcome = { edge, cluster, routeName, upstreamHost, status, failure: reason, startMs, durationMs, ...sizes };
    recordRequest(this.stream, outcome, this.#deps);
  }
}

function exhausted(reason: Failure, tries: number): Failure {
  const flag = reason.flag === "UF" || reason.flag === "UH" ? reason.flag : "URX";
  // The peer's proxy may have counted its own tries already.
  return { ...reason, flag, reason: `${reason.reason.replace(/ \(\d+ tries\)$/, "")} (${tries} tries)` };
}
