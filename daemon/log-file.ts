// The daemon's log: pino's JSON lines in the state folder, at most two files of 10 MB.
import { renameSync, statSync } from "node:fs";
import pino from "pino";

export const logBytesMax = 10 * 1024 * 1024;

/** Appends to `file`; when it is full it becomes `<file>.1`, and the one before that goes. */
export function openLog(
  file: string,
  { level = "info", bytesMax = logBytesMax, onLine = (_line: string): void => undefined } = {},
): pino.Logger {
  const destination = pino.destination({ dest: file, sync: true, mkdir: true, mode: 0o600 });
  // A full disk must not end the daemon; what could not be written is lost.
  destination.on("error", () => undefined);
  let bytes = sizeOf(file);
  const rotating = {
    write(line: string): void {
      bytes += Buffer.byteLength(line);
      if (bytes > bytesMax) {
        bytes = Buffer.byteLength(line);
        try {
          renameSync(file, `${file}.1`);
          destination.reopen();
        } catch {
          // The folder is gone or read-only: the open file still takes lines.
          bytes = 0;
        }
      }
      destination.write(line);
      onLine(line);
    },
  };
  return pino({ level, base: { pid: process.pid }, timestamp: pino.stdTimeFunctions.isoTime }, rotating);
}

function sizeOf(file: string): number {
  try {
    return statSync(file).size;
  } catch {
    return 0;
  }
}
