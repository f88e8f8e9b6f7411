// Writes to Redis over plain TCP and prints the number of each write that was acknowledged: those must be readable ever after.
// Ends when its standard input ends.
import { connect, type Socket } from "node:net";

const [host = "redis", port = "6379"] = process.argv.slice(2);
const everyMs = 20;
const answerWithinMs = 3000;
const again = { delayMs: 200 };
let n = 0;
let isEnding = false;

/** Each write is tried once: one that is not acknowledged may be there or not. */
function write(socket: Socket): Promise<boolean> {
  const key = `soak:${n}`;
  const value = String(n);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  let answer = "";
  const timer = setTimeout(() => resolve(false), answerWithinMs);
  const onData = (chunk: Buffer): void => {
    answer += chunk.toString();
    if (answer.includes("\r\n")) resolve(answer.startsWith("+OK"));
  };
  const onClose = (): void => resolve(false);
  socket.on("data", onData).on("close", onClose);
  socket.write(`*3\r\n$3\r\nSET\r\n$${key.length}\r\n${key}\r\n$${value.length}\r\n${value}\r\n`);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.off("data", onData).off("close", onClose);
  });
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function session(): Promise<void> {
  const socket = connect({ host, port: Number(port) });
  socket.on("error", () => undefined);
  while (!isEnding) {
    n++;
    if (!(await write(socket))) break;
    process.stdout.write(`${n}\n`);
    await pause(everyMs);
  }
  socket.destroy();
}

process.stdin.resume();
process.stdin.on("end", () => {
  isEnding = true;
});
while (!isEnding) {
  await session();
  if (!isEnding) await pause(again.delayMs);
}
process.stdin.destroy();
