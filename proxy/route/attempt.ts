// One try of an exchange at one target. A try that is over hears and says nothing any more.

import { type Failure, failure } from "../http/failure.ts";
import type { Fields } from "../http/fields.ts";
import type { ResponseHead } from "../http/message.ts";
import type { ClientStream, ClientStreamEvents, OutgoingRequest } from "../http/stream.ts";
import type { Exchange } from "./exchange.ts";
import type { Target } from "./routing.ts";

export class Attempt implements ClientStreamEvents {
  readonly #exchange: Exchange;
  readonly #target: Target;
  readonly #perTryTimeoutMs: number;
  #stream: ClientStream | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isRequestEnded = false;
  #isOver = false;

  constructor(exchange: Exchange, target: Target, perTryTimeoutMs: number) {
    this.#exchange = exchange;
    this.#target = target;
    this.#perTryTimeoutMs = perTryTimeoutMs;
  }

  open(request: OutgoingRequest): void {
    this.#target.begin();
    this.#isRequestEnded = !request.hasBody;
    if (this.#perTryTimeoutMs > 0) this.#timer = setTimeout(() => this.#onTimeout(), this.#perTryTimeoutMs);
    const upstream = this.#target.upstream({
      isUpgrade: request.head.upgrade !== null,
      port: request.destination.port,
    });
    this.#stream = upstream.open(request, this);
  }

  write(chunk: Buffer): boolean {
    return this.#isOver || this.#isRequestEnded || this.#stream === null || this.#stream.write(chunk);
  }

  endRequest(trailers: Fields | null): void {
    if (this.#isOver || this.#isRequestEnded) return;
    this.#isRequestEnded = true;
    this.#stream?.end(trailers);
  }

  pauseResponse(): void {
    if (!this.#isOver) this.#stream?.pause();
  }

  resumeResponse(): void {
    if (!this.#isOver) this.#stream?.resume();
  }

  /** Cuts the try: the upstream sees a cancelled request. */
  abort(reason: Failure): void {
    if (this.#isOver) return;
    const stream = this.#stream;
    this.close(reason);
    stream?.abort(reason);
  }

  /** The try is over; `reason` null is success. */
  close(reason: Failure | null): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#clearTimer();
    this.#target.end(reason);
  }

  onInformational(head: ResponseHead): void {
    if (!this.#isOver) this.#exchange.onInformational(head);
  }

  onResponse(head: ResponseHead): void {
    if (this.#isOver) return;
    this.#clearTimer();
    this.#exchange.onResponse(head);
  }

  onData(chunk: Buffer): void {
    if (!this.#isOver) this.#exchange.onResponseData(chunk);
  }

  onEnd(trailers: Fields | null): void {
    if (!this.#isOver) this.#exchange.onResponseEnd(trailers);
  }

  onAbort(reason: Failure): void {
    if (this.#isOver) return;
    this.close(reason);
    this.#exchange.onAttemptFailed(reason);
  }

  onDrain(): void {
    if (!this.#isOver) this.#exchange.onRequestDrain();
  }

  #clearTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #onTimeout(): void {
    const reason = failure(
      "UT",
      504,
      "upstream_per_try_timeout",
      `${this.#target.workload} did not begin to answer within the per-try timeout of ${this.#perTryTimeoutMs} ms`,
    );
    this.abort(reason);
    this.#exchange.onAttemptFailed(reason);
  }
}
