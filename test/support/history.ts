// What a history of requests must show while something is broken: never another service's answer, and errors only where the fault is.
import { failures, isSuccess, type Sent } from "./load.ts";

/** Whose fault a failed request may be. */
export interface Fault {
  /** What the proxy's reason names: a container, or "" for anything at all. */
  readonly names: string;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** What is wrong with it, in sentences; nothing, when all is well. `mayAnswer`: NAMEs of the echo applications of that service. */
export function faultsOf(sent: readonly Sent[], mayAnswer: readonly string[], faults: readonly Fault[]): string[] {
  const wrong = sent.filter((one) => isSuccess(one) && !mayAnswer.includes(one.name));
  const unexcused = failures(sent).filter((one) => !faults.some((fault) => isExcusedBy(one, fault)));
  return [
    ...wrong.map(
      ({ n, name, host }) => `request ${n} was answered by ${name} (${host}), not by ${mayAnswer.join("|")}`,
    ),
    ...unexcused.map(({ n, start, status, flags, reason }) => {
      const begins = faults.map(({ fromMs }) => `${Math.round(start - fromMs)} ms`).join(", ");
      return `request ${n} failed (${status} ${flags} ${reason})${begins === "" ? "" : ` ${begins} after a fault began`}`;
    }),
  ];
}

/** A request belongs to a fault when it was under way at any time of it. */
function isExcusedBy({ start, end, reason }: Sent, { names, fromMs, untilMs }: Fault): boolean {
  return start <= untilMs && end >= fromMs && reason.includes(names);
}
