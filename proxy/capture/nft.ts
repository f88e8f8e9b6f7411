// Runs nft with a script on its standard input.
import { spawn } from "node:child_process";

/** Bytes of nft's messages that are kept for the error. */
const outputBytesMax = 16 * 1024;
const timeoutMs = 10_000;

/** One transaction: all of `script` or nothing. Throws with what nft printed. Needs CAP_NET_ADMIN in this network namespace. */
export async function runNft(script: string, nft = "nft"): Promise<void> {
  const { code, output } = await new Promise<{ code: number | null; output: string }>((resolve, reject) => {
    const child = spawn(nft, ["-f", "-"], {
      stdio: ["pipe", "ignore", "pipe"],
      timeout: timeoutMs,
      killSignal: "SIGKILL",
    });
    let output = "";
    child.stderr.setEncoding("utf8");
    child.stderr.on("data", (text: string) => {
      output = (output + text).slice(0, outputBytesMax);
    });
    child.on("error", (cause) => reject(new Error(`cannot run ${nft}: ${cause.message}`, { cause })));
    child.on("close", (code, signal) =>
      resolve({
        code,
        output: signal === null ? output : `${output}\nended by ${signal} after ${timeoutMs} ms at most`,
      }),
    );
    // nft may exit before it has read all; its exit code tells what happened.
    child.stdin.on("error", () => child.stdin.destroy());
    child.stdin.end(script);
  });
  if (code !== 0) throw new Error(`nft failed with exit code ${code}: ${output.trim()}`);
}
