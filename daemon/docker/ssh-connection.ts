// A connection to Docker's API on another machine by the ssh command, as the docker command makes it: the user's own keys,
// known hosts and ~/.ssh/config apply. (The package ssh2 would not check the host's key.)
import { type ChildProcess, spawn } from "node:child_process";
import { Agent } from "node:http";
import { Duplex } from "node:stream";

/** Bytes of ssh's messages that are kept for the error. */
const stderrBytesMax = 4096;
const connectTimeoutS = 10;

export interface SshTarget {
  readonly target: string;
  readonly port: string;
  readonly path: string;
}

export function sshArguments({ target, port, path }: SshTarget): string[] {
  const options = ["-T", "-o", `ConnectTimeout=${connectTimeoutS}`, ...(port === "" ? [] : ["-p", port])];
  const host = path === "" ? [] : ["--host", `unix://${path}`];
  // "--" keeps a target that starts with a dash from being an option.
  return [...options, "--", target, "docker", ...host, "system", "dial-stdio"];
}

/** An agent whose every connection is one ssh process; kept alive between requests, since each costs a handshake. */
export class SshAgent extends Agent {
  readonly #target: SshTarget;

  constructor(target: SshTarget) {
    // A look every second is three lists side by side (pulse.ts); with fewer, each would make a connection anew.
    super({ keepAlive: true, maxFreeSockets: 4, maxSockets: 32 });
    this.#target = target;
  }

  override createConnection(): Duplex {
    const child = spawn("ssh", sshArguments(this.#target), { stdio: ["pipe", "pipe", "pipe"] });
    return new SshConnection(child);
  }
}

class SshConnection extends Duplex {
  readonly #child: ChildProcess;
  #stderr = "";

  constructor(child: ChildProcess) {
    super();
    this.#child = child;
    child.on("error", (error) => this.destroy(error));
    child.stderr?.on("data", (chunk: Buffer) => {
      if (this.#stderr.length < stderrBytesMax) this.#stderr += chunk.toString();
    });
    child.stdout?.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout?.pause();
    });
    child.stdout?.on("error", (error) => this.destroy(error));
    // Why it no longer reads is in its last words, which come with its end.
    child.stdin?.on("error", () => child.kill());
    child.on("close", (code, signal) => {
      if (code === 0 || this.destroyed) this.push(null);
      else this.destroy(new Error(`ssh ended with ${code ?? signal}: ${this.#stderr.trim().slice(0, stderrBytesMax)}`));
    });
  }

  override _read(): void {
    this.#child.stdout?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    // After a failed write nothing more is written; the end of the process says why.
    this.#child.stdin?.write(chunk, (error) => {
      if (!error) callback();
    });
  }

  override _final(callback: () => void): void {
    this.#child.stdin?.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#child.kill();
    callback(error);
  }

  // What node:http expects of a socket beyond a Duplex. An ssh process has neither Nagle nor a keep-alive to set.
  setKeepAlive(): this {
    return this;
  }
  setNoDelay(): this {
    return this;
  }
  setTimeout(): this {
    return this;
  }
  ref(): this {
    this.#child.ref();
    return this;
  }
  unref(): this {
    this.#child.unref();
    return this;
  }
}
