// Sends requests at a fixed rate over kept-alive connections and prints one JSON line for each that is over; see ../load.ts.
// Ends when its standard input ends: `docker exec` passes no signal on, but it does pass that.
import http from "node:http";
import type { LoadOptions, Sent } from "../load.ts";

const options: LoadOptions = JSON.parse(process.argv[2] ?? "{}");
const { url, rate, method = "GET", body = "", headers = {}, timeoutMs = 30_000, connections = 256 } = options;
const agent = new http.Agent({ keepAlive: true, maxSockets: connections, scheduling: "lifo" });
const started = performance.now();
let sent = 0;
let open = 0;
let isEnding = false;

function send(): void {
  const n = sent++;
  const start = Date.now();
  open++;
  let isOver = false;
  const over = (outcome: Partial<Sent>): void => {
    if (isOver) return;
    isOver = true;
    open--;
    const line: Sent = { n, start, end: Date.now(), status: 0, flags: "", reason: "", host: "", name: "", ...outcome };
    process.stdout.write(`${JSON.stringify(line)}\n`);
    finish();
  };
  const request = http.request(url, { method, headers, agent }, (response) => {
    response.resume();
    const { statusCode: status = 0 } = response;
    const text = (name: string): string => String(response.headers[name] ?? "");
    const [flags, reason] = [text("x-devmesh-response-flags"), text("x-devmesh-reason")];
    const answered = { status, flags, reason, host: text("x-host"), name: text("x-name") };
    response.on("end", () => over(answered));
    response.on("error", (error) => over({ ...answered, status: 0, reason: `in the response: ${error.message}` }));
  });
  request.on("upgrade", ({ statusCode: status = 0, headers }, socket) => {
    socket.destroy();
    over({ status, name: String(headers["x-name"] ?? "") });
  });
  const timer = setTimeout(() => request.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  request.on("error", (error: NodeJS.ErrnoException) => over({ reason: error.code ?? error.message }));
  request.on("close", () => clearTimeout(timer));
  request.end(body);
}

/** Open loop: what is due is sent, however slow the answers are. */
const ticker = setInterval(() => {
  const due = Math.floor(((performance.now() - started) * rate) / 1000);
  while (sent < due) send();
}, 2);

function finish(): void {
  if (!isEnding || open > 0) return;
  agent.destroy();
  process.stdin.destroy();
}

process.stdin.resume();
process.stdin.on("end", () => {
  isEnding = true;
  clearInterval(ticker);
  finish();
});
