// Ctrl-C while something starts or is watched: says what still runs and how to stop it, instead of vanishing.
import { exitCodes } from "../daemon/api/problem.ts";
import type { Output } from "./output.ts";

/** The exit code of the work, or 130 as soon as the user interrupts. The work itself is given up by leaving. */
export async function orInterrupted(output: Output, work: Promise<number>): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  const onSignal = () => {
    output.note("\ninterrupted. What was started goes on without this command:");
    output.note("  see it:    devmesh status");
    output.note("  stop it:   devmesh down");
    resolve(exitCodes.interrupted);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, onSignal);
  try {
    return await Promise.race([work, promise]);
  } finally {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.off(signal, onSignal);
  }
}
