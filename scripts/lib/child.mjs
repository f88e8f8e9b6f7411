// Runs a program in the foreground: it gets the terminal, its exit code is ours, Ctrl-C is its business.
import { spawn } from "node:child_process";
import { root } from "./project.mjs";

/** Exit code of `command`; 128 plus the signal's number when a signal ended it, as a shell has it. */
export function foreground(command, args, env = process.env) {
  const numbers = { SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 };
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", env });
    // The terminal sends Ctrl-C to both; this process only waits for the child's own end.
    const ignore = () => undefined;
    const forward = (signal) => child.kill(signal);
    process.on("SIGINT", ignore).on("SIGTERM", forward).on("SIGHUP", forward);
    const release = () => process.off("SIGINT", ignore).off("SIGTERM", forward).off("SIGHUP", forward);
    child.on("error", (error) => {
      release();
      reject(error);
    });
    child.on("close", (code, signal) => {
      release();
      resolve(code ?? 128 + (numbers[signal] ?? 0));
    });
  });
}
