// A connection to Docker's API on another machine by the ssh command, as the docker command makes it: the user's own keys,
// known hosts and ~/.ssh/config apply. (The package ssh2 would not check the host's key.)
import { type ChildProcess, spawn } from "node:child_process";
import { Agent } from "node:http";
import { Duplex } from "node:stream";

/** Bytes of ssh's messages that are kept for the error. */
const stderrBytesMax = 4096;
const connectTimeoutS = 10;
/** At one time: beyond ten that are not logged in yet sshd refuses some at random (MaxStartups), others beyond five of one address. */
const handshakesMax = 4;
/** The first byte of an answer ends a handshake; one that comes late must not hold up the next. */
const handshakeMsMax = 2_000;

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
  readonly #turns = new Turns(handshakesMax);

  constructor(target: SshTarget) {
    super({ keepAlive: true, maxFreeSockets: 2, maxSockets: 32 });
    this.#target = target;
  }

  override createConnection(): Duplex {
    return new SshConnection(this.#target, this.#turns);
  }
}

/** At most so many at a time, in the order in which they asked. */
class Turns {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(free: number) {
    this.#free = free;
  }

  take(begin: () => void): void {
    if (this.#free === 0) this.#waiting.push(begin);
    else {
      this.#free--;
      begin();
    }
  }

  giveBack(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

class SshConnection extends Duplex {
  #child: ChildProcess | null = null;
  /** What was asked of it before its process was there: at most one write, or the end. */
  #whenOpen: (() => void) | null = null;
  #isReferenced = true;
  #stderr = "";

  constructor(target: SshTarget, turns: Turns) {
    super();
    turns.take(() => {
      if (this.destroyed) turns.giveBack();
      else this.#open(target, () => turns.giveBack());
    });
  }

  #open(target: SshTarget, giveBack: () => void): void {
    const child = spawn("ssh", sshArguments(target), { stdio: ["pipe", "pipe", "pipe"] });
    this.#child = child;
    if (!this.#isReferenced) child.unref();
    const begun = Promise.withResolvers<void>();
    const timer = setTimeout(begun.resolve, handshakeMsMax);
    void begun.promise.then(() => {
      clearTimeout(timer);
      giveBack();
    });
    child.stdout.once("data", () => begun.resolve());
    child.once("close", () => begun.resolve());
    child.on("error", (error) => {
      begun.resolve();
      this.destroy(error);
    });
    child.stderr.on("data", (chunk: Buffer) => {
      if (this.#stderr.length < stderrBytesMax) this.#stderr += chunk.toString();
    });
    child.stdout.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) child.stdout.pause();
    });
    child.stdout.on("error", (error) => this.destroy(error));
    // Why it no longer reads is in its last words, which come with its end.
    child.stdin.on("error", () => child.kill());
    child.on("close", (code, signal) => {
      if (code === 0 || this.destroyed) this.push(null);
      else this.destroy(new Error(`ssh ended with ${code ?? signal}: ${this.#stderr.trim().slice(0, stderrBytesMax)}`));
    });
    const ask = this.#whenOpen;
    this.#whenOpen = null;
    ask?.();
  }

  override _read(): void {
    this.#child?.stdout?.resume();
  }

  override _write(chunk: Buffer, encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    if (this.#child === null) {
      this.#whenOpen = () => this._write(chunk, encoding, callback);
      return;
    }
    // After a failed write nothing more is written; the end of the process says why.
    this.#child.stdin?.write(chunk, (error) => {
      if (!error) callback();
    });
  }

  override _final(callback: () => void): void {
    if (this.#child === null) this.#whenOpen = () => this._final(callback);
    else this.#child.stdin?.end(callback);
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#child?.kill();
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
    this.#isReferenced = true;
    this.#child?.ref();
    return this;
  }
  unref(): this {
    this.#isReferenced = false;
    this.#child?.unref();
    return this;
  }
}
