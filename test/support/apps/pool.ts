// An application that dials in its first millisecond and keeps a pool: SIZE connections to each of TARGETS ("host:port,..."),
// a line on each every 10 ms, a new one at once for one that breaks. Every line is "<local port> <wall clock>".
// Asks its sidecar on loopback when it is ready; `GET :8090/` tells the story.
import http from "node:http";
import net from "node:net";

export interface PoolStory {
  readonly startedAt: number;
  /** Wall clock of the sidecar's first "ready", or null. */
  readonly readyAt: number | null;
  /** Connections that were established, and those of them that broke. */
  readonly opened: number;
  readonly broken: readonly {
    readonly target: string;
    readonly at: number;
    readonly openedAt: number;
    readonly code: string;
  }[];
  /** Attempts that did not come about, by error. */
  readonly failed: Readonly<Record<string, number>>;
}

const targets = (process.env.TARGETS ?? "").split(",");
const size = Number(process.env.SIZE ?? 5);
const startedAt = Date.now();
let readyAt: number | null = null;
let opened = 0;
const broken: PoolStory["broken"][number][] = [];
const failed: Record<string, number> = {};

function dial(target: string): void {
  const [host = "", port] = target.split(":");
  let openedAt = 0;
  let code = "closed";
  let ticks: NodeJS.Timeout | undefined;
  const socket = net.connect({ host, port: Number(port) });
  socket.on("connect", () => {
    openedAt = Date.now();
    opened++;
    const say = () => void socket.write(`${socket.localPort} ${Date.now()}\n`);
    say();
    ticks = setInterval(say, 10);
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code ?? error.message;
  });
  socket.resume().on("close", () => {
    clearInterval(ticks);
    if (openedAt === 0) failed[code] = (failed[code] ?? 0) + 1;
    else broken.push({ target, at: Date.now(), openedAt, code });
    // At once the first times, since that is what is to be shown; then it must not eat the machine.
    setTimeout(() => dial(target), broken.length < 100 ? 1 : 50);
  });
}

function askReady(): void {
  const request = http.get("http://127.0.0.1:15020/healthz/ready", (response) => {
    response.resume();
    if (response.statusCode === 200) readyAt = Date.now();
    else setTimeout(askReady, 5);
  });
  request.on("error", () => setTimeout(askReady, 5));
}

for (const target of targets) for (let i = 0; i < size; i++) dial(target);
askReady();
http
  .createServer((_request, response) => {
    const story: PoolStory = { startedAt, readyAt, opened, broken, failed };
    response.end(JSON.stringify(story));
  })
  .listen(8090);
