// Runs one command in a running container to its end.
import { createExec } from "./containers.ts";
import { createDemux } from "./demux.ts";
import type { Engine } from "./engine.ts";

export interface RunExecOptions {
  readonly command: readonly string[];
  /** "0:0" */
  readonly user: string;
  readonly timeoutMs: number;
  readonly outputBytesMax: number;
}

/**
 * What it printed. Throws EngineError when the container does not run or is paused, and the command's own words when it
 * printed nothing but those.
 */
export async function runExec(engine: Engine, containerId: string, options: RunExecOptions): Promise<string> {
  const { command, user, timeoutMs, outputBytesMax } = options;
  const signal = AbortSignal.timeout(timeoutMs);
  const execId = await createExec(engine, containerId, { command, user, hasStdin: false });
  const body = { Detach: false, Tty: false };
  const connection = await engine.hijack({ method: "POST", path: `/exec/${execId}/start`, body, timeoutMs });
  const pieces = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let bytes = 0;
  const demux = createDemux((stream, piece) => {
    bytes += piece.length;
    if (bytes > outputBytesMax) throw new Error(`${command[0]} printed more than ${outputBytesMax} bytes`);
    pieces[stream].push(piece);
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(new Error(`${command[0]} did not end within ${timeoutMs} ms`));
  signal.addEventListener("abort", onAbort);
  connection.on("data", (chunk: Buffer) => {
    try {
      demux(chunk);
    } catch (error) {
      reject(error);
    }
  });
  connection.on("error", reject);
  connection.on("end", resolve);
  connection.on("close", resolve);
  try {
    await promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
    connection.destroy();
  }
  const text = Buffer.concat(pieces.stdout).toString();
  if (text === "" && pieces.stderr.length > 0) throw new Error(Buffer.concat(pieces.stderr).toString().trim());
  return text;
}
