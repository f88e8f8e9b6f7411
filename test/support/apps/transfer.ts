// Moves bytes to streams.ts and back, and prints what arrived: node transfer.ts '{"host":"a","port":9000,"mode":"both","bytes":10}'
import { createHash } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { pattern } from "./streams-pattern.ts";

export interface Transfer {
  readonly host: string;
  readonly port: number;
  readonly mode: "send" | "count" | "drain" | "both";
  readonly bytes: number;
}

export interface Transferred {
  /** That came here: bytes and hash of the pattern, without the answer's line. */
  readonly received: string;
  /** What the other side says that it got. */
  readonly answer: string;
  readonly error: string;
  readonly ms: number;
}

const { host, port, mode, bytes } = JSON.parse(process.argv[2] ?? "{}") as Transfer;
const started = performance.now();
const socket = net.connect({ host, port, allowHalfOpen: true });
let error = "";
socket.on("error", (cause: NodeJS.ErrnoException) => {
  error = cause.code ?? cause.message;
});
const chunks: Buffer[] = [];
socket.on("data", (chunk) => chunks.push(chunk));
const ended = once(socket, "end").catch(() => undefined);
socket.write(`${mode} ${bytes}\n`);
if (mode === "send") {
  await ended;
  socket.end();
} else {
  const source = pattern(bytes);
  source.pipe(socket, { end: mode !== "count" });
  // With `count` the answer comes while both directions are open.
  if (mode === "count") {
    while (!Buffer.concat(chunks).includes("\n") && !socket.destroyed)
      await Promise.race([once(socket, "data"), once(socket, "close")]);
    socket.end();
  }
  await ended;
}
const all = Buffer.concat(chunks);
const bodyBytes = mode === "both" || mode === "send" ? Math.min(bytes, all.length) : 0;
const received = `${bodyBytes} ${createHash("sha256").update(all.subarray(0, bodyBytes)).digest("hex")}`;
const answer = all.subarray(bodyBytes).toString("latin1").trim();
console.log(
  JSON.stringify({ received, answer, error, ms: Math.round(performance.now() - started) } satisfies Transferred),
);
