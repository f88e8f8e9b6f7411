// Tells the command that started this daemon how far it is: lines on file descriptor 3, closed when it is ready or failed.
import { closeSync, fstatSync, writeSync } from "node:fs";
import { Problem } from "./api/problem.ts";
import { errorBody } from "./api/server.ts";
import type { StartLine } from "./api/start-line.ts";
import type { Diagnostic } from "./spec/diagnostic.ts";

const reportFd = 3;

/** The file cannot be put in force; nothing was changed. */
export class SpecRefused extends Problem {
  readonly diagnostics: readonly Diagnostic[];

  constructor(diagnostics: readonly Diagnostic[]) {
    super("DM0003", "the mesh's configuration has errors", "nothing was changed");
    this.diagnostics = diagnostics;
  }
}

export interface StartReporter {
  step(text: string): void;
  ready(pid: number, socket: string): void;
  problem(error: unknown): void;
}

/** Without a pipe on descriptor 3 (Node may have one of its own there) nothing is said. */
export function openStartReporter(): StartReporter {
  let isOpen = isPipe(reportFd);
  const say = (line: StartLine): void => {
    if (!isOpen) return;
    try {
      writeSync(reportFd, `${JSON.stringify(line)}\n`);
    } catch {
      // The command is gone; the daemon starts all the same.
      isOpen = false;
    }
  };
  const end = (line: StartLine): void => {
    say(line);
    if (isOpen) closeSync(reportFd);
    isOpen = false;
  };
  return {
    step: (text) => say({ t: "step", text, ms: Math.round(performance.now()) }),
    ready: (pid, socket) => end({ t: "ready", pid, socket }),
    problem: (error) => {
      const diagnostics = error instanceof SpecRefused ? { diagnostics: error.diagnostics } : {};
      end({ t: "problem", ...errorBody(error), ...diagnostics });
    },
  };
}

function isPipe(fd: number): boolean {
  try {
    const found = fstatSync(fd);
    return found.isFIFO() || found.isSocket();
  } catch {
    return false;
  }
}
