// The daemon's byte stream into a sidecar: an exec'd socat whose stdin and stdout are the ends of the proxy's unix socket.
import { Duplex } from "node:stream";
import { createExec } from "./containers.ts";
import { createDemux } from "./demux.ts";
import type { Engine } from "./engine.ts";

/** Where the proxy listens, in the sidecar's tmpfs. */
export const controlSocketPath = "/run/devmesh/control.sock";
/** socat tries again by itself while the proxy starts: another exec costs 100 ms. */
const bridgeCommand = ["socat", "-", `UNIX-CONNECT:${controlSocketPath},retry=75,interval=0.02`];
const openTimeoutMs = 10_000;
/** Of socat's messages, for the error. */
const stderrBytesMax = 4096;

export interface ControlStreamOptions {
  /** Tests run another program. */
  readonly command?: readonly string[];
  readonly user?: string;
}

/**
 * Throws EngineError when the container does not run or is paused. The stream fails with socat's words when the socket is
 * not there yet; `end()` is passed on as end of input, `destroy()` ends the exec.
 */
export async function openControlStream(
  engine: Engine,
  containerId: string,
  { command = bridgeCommand, user = "1337:1337" }: ControlStreamOptions = {},
): Promise<Duplex> {
  const execId = await createExec(engine, containerId, { command, user, hasStdin: true });
  const connection = await engine.hijack({
    method: "POST",
    path: `/exec/${execId}/start`,
    body: { Detach: false, Tty: false },
    timeoutMs: openTimeoutMs,
  });
  return new ControlStream(connection);
}

class ControlStream extends Duplex {
  readonly #connection: Duplex;
  #stderr = "";
  #hasOutput = false;

  constructor(connection: Duplex) {
    // After our own end, what the proxy still has to say is read; after its end there is nobody to write to.
    super({ allowHalfOpen: false });
    this.#connection = connection;
    const demux = createDemux((stream, piece) => {
      if (stream === "stderr") this.#keepStderr(piece);
      else this.#deliver(piece);
    });
    connection.on("data", (chunk: Buffer) => {
      try {
        demux(chunk);
      } catch (error) {
        this.destroy(error as Error);
      }
    });
    connection.on("end", () => this.#onEnd());
    connection.on("error", (error) => this.destroy(error));
    connection.on("close", () => this.#onEnd());
  }

  override _read(): void {
    this.#connection.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#connection.write(chunk, callback);
  }

  override _final(callback: () => void): void {
    this.#connection.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#connection.destroy();
    callback(error);
  }

  #deliver(piece: Buffer): void {
    this.#hasOutput = true;
    if (!this.push(piece)) this.#connection.pause();
  }

  #keepStderr(piece: Buffer): void {
    const room = stderrBytesMax - this.#stderr.length;
    if (room > 0) this.#stderr += piece.subarray(0, room).toString();
  }

  #onEnd(): void {
    if (this.destroyed || this.readableEnded) return;
    const reason = this.#stderr.trim();
    if (reason !== "" && !this.#hasOutput) this.destroy(new Error(reason));
    else this.push(null);
  }
}
