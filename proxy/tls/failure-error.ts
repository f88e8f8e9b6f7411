// An error that carries the Failure it means, for APIs that speak in errors (sockets).
import type { Failure } from "../http/failure.ts";

export class FailureError extends Error {
  override readonly name = "FailureError";
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.reason);
    this.failure = failure;
  }
}
