// A service of a project that knew no mesh: HTTP at 8080, servers that speak first at 3306 and 7001, and one connection to
// IDLE_TO that is opened at the start, used once and then left alone; its end is printed.

import http from "node:http";
import net from "node:net";

const name = process.env.NAME ?? "neighbour";
const server = http.createServer((_, response) => response.end(name)).listen(8080);
// Idle connections are the client's to close.
server.keepAliveTimeout = 0;
for (const port of [3306, 7001]) {
  net
    .createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.write(`${name} speaks first\n`);
    })
    .listen(port);
}
process.on("SIGTERM", () => process.exit());
const idleTo = process.env.IDLE_TO;
if (idleTo !== undefined) open(idleTo);

/** Tried until the other container is there. */
function open(host: string): void {
  let isUsed = false;
  const socket = net.connect(8080, host, () => socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  socket.once("data", () => {
    isUsed = true;
    console.log("idle since now");
  });
  socket.on("error", () => socket.destroy());
  socket.on("close", () => {
    if (isUsed) console.log("idle connection closed");
    else setTimeout(open, 100, host);
  });
}
