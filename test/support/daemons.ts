// Which daemons run, by what the kernel says of their processes; Linux only, as are the tests that ask.
import { readdirSync, readFileSync } from "node:fs";

/** Daemons of a project that run, whatever the lock says. */
export function daemonsOf(project: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const args = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
        const isRunning = !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "latin1"));
        return isRunning && args.includes("daemon") && args.some((arg) => arg.includes(`"${project}"`));
      } catch {
        return false; // It ended meanwhile.
      }
    })
    .map(Number);
}
