// Takes what pool.ts says on 9000 and remembers when each connection last spoke: `GET :8090/` tells.
import http from "node:http";
import net from "node:net";

export interface Heard {
  readonly from: string;
  /** Of the socket that really came here: the application's own, or a proxy's. */
  readonly port: number;
  /** The port that the application says it dialled from: the same only where no proxy was between. */
  readonly saidPort: number;
  readonly firstAt: number;
  /** Wall clock that the last line was written at. */
  readonly lastSaidAt: number;
  readonly lines: number;
}

/** Connections that are remembered. */
const heardMax = 20_000;
const heard: Heard[] = [];

net
  .createServer((socket) => {
    const entry = {
      from: (socket.remoteAddress ?? "").replace(/^::ffff:/, ""),
      port: socket.remotePort ?? 0,
      saidPort: 0,
      firstAt: Date.now(),
      lastSaidAt: 0,
      lines: 0,
    };
    if (heard.length < heardMax) heard.push(entry);
    let rest = "";
    socket.setEncoding("latin1").on("data", (text: string) => {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      entry.lines += lines.length;
      const [saidPort, at] = (lines.at(-1) ?? "").split(" ");
      entry.saidPort = Number(saidPort ?? entry.saidPort);
      entry.lastSaidAt = Number(at ?? entry.lastSaidAt);
    });
    socket.on("error", () => socket.destroy());
  })
  .listen(9000);
http.createServer((_request, response) => response.end(JSON.stringify(heard))).listen(8090);
