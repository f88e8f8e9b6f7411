// What really crossed the network: every TCP stream that the Docker host saw while a capture ran.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import type { Captured } from "./apps/capture.ts";

const root = path.resolve(import.meta.dirname, "../..");

export interface Stream {
  readonly from: string;
  readonly to: string;
  readonly fromPort: number;
  readonly toPort: number;
  /** From the first byte of the connection on, without a gap. */
  readonly isWhole: boolean;
  readonly bytes: Buffer;
}

export class PacketCapture implements AsyncDisposable {
  readonly #child: ChildProcess;
  #stdout = "";
  #stderr = "";

  private constructor(image: string) {
    const mounts = ["-v", `${root}/test/support/apps:/apps:ro`, "-v", `${root}/node_modules:/node_modules:ro`];
    const rights = ["--network", "host", "--user", "0:0", "--cap-add", "NET_RAW", "--cap-add", "NET_ADMIN"];
    const args = ["run", "--rm", "-i", ...rights, ...mounts, "--entrypoint", "node", image, "/apps/capture.ts"];
    this.#child = spawn("docker", args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stdin?.on("error", () => undefined);
    this.#child.stderr?.on("data", (text) => {
      this.#stderr += text;
    });
  }

  /** `image` has node. Resolves once packets are recorded. */
  static async start(image: string): Promise<PacketCapture> {
    const capture = new PacketCapture(image);
    const { stdout } = capture.#child;
    const ended = once(capture.#child, "close");
    const first = await Promise.race([once(stdout ?? process.stdin, "data"), ended]);
    if (!String(first[0]).startsWith("capturing")) throw new Error(`no capture: ${capture.#stderr}`);
    stdout?.on("data", (text) => {
      capture.#stdout += text;
    });
    return capture;
  }

  /** Rejects when a packet was lost. */
  async end(): Promise<readonly Stream[]> {
    const closed = once(this.#child, "close");
    this.#child.stdin?.end();
    await closed;
    const { dropped, streams } = JSON.parse(this.#stdout) as Captured;
    if (dropped > 0) throw new Error(`the capture lost ${dropped} packets`);
    return streams.map((stream) => ({ ...stream, bytes: Buffer.from(stream.bytes, "base64") }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null) return;
    const closed = once(this.#child, "close");
    this.#child.stdin?.end();
    await closed;
  }
}

/** The types of the TLS records that the bytes are, or null when they are anything else (RFC 8446 5.1). */
export function tlsRecords(bytes: Buffer): readonly number[] | null {
  const types: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const type = bytes[at] ?? 0;
    if (type < 20 || type > 23 || bytes[at + 1] !== 3) return null;
    types.push(type);
    // The last one may still be under way.
    if (at + 5 > bytes.length) return types;
    at += 5 + bytes.readUInt16BE(at + 3);
  }
  return types;
}
