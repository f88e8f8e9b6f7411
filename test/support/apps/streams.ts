// A TCP application for tests, beside echo.ts's HTTP on 8080. On 9000 a client's first line says what happens:
// "send N" gets N bytes and the end · "count N" gets "N <sha256>" after N bytes, and the connection stays open ·
// "abort" is reset · "wait" stays, and how it ended is what "seen" tells of the last one ·
// "drain" reads to the client's end, then answers as count does, and ends · "both N" sends N bytes while it reads to the end, then answers.
// 2525 greets first, as SMTP does; 9001 is HTTP bound to loopback only.
import { createHash } from "node:crypto";
import http from "node:http";
import net from "node:net";
import { pattern } from "./streams-pattern.ts";
import "./echo.ts";

let lastEnd = "nothing";

function serve(socket: net.Socket): void {
  socket.on("error", () => socket.destroy());
  let line = "";
  const onData = (chunk: Buffer): void => {
    line += chunk.toString("latin1");
    const end = line.indexOf("\n");
    if (end < 0) return;
    socket.off("data", onData);
    socket.pause();
    socket.unshift(Buffer.from(line.slice(end + 1), "latin1"));
    const [what, count] = line.slice(0, end).split(" ");
    answer(socket, what ?? "", Number(count));
    socket.resume();
  };
  socket.on("data", onData);
}

function answer(socket: net.Socket, what: string, count: number): void {
  if (what === "send") {
    pattern(count).pipe(socket);
    return;
  }
  if (what === "abort") socket.resetAndDestroy();
  if (what === "seen") socket.end(`${lastEnd}\n`);
  if (what === "wait") {
    socket.on("error", (error: NodeJS.ErrnoException) => {
      lastEnd = error.code ?? error.message;
    });
    socket.on("end", () => {
      lastEnd = "end";
      socket.end();
    });
    socket.write("waiting\n");
  }
  const hash = createHash("sha256");
  let bytes = 0;
  const sum = () => `${bytes} ${hash.digest("hex")}\n`;
  socket.on("data", (chunk: Buffer) => {
    hash.update(chunk);
    bytes += chunk.length;
    if (what === "count" && bytes === count) socket.write(sum());
  });
  if (what === "drain") socket.on("end", () => socket.end(sum()));
  if (what === "count") socket.on("end", () => socket.end());
  if (what === "both") {
    const ended = new Promise((resolve) => socket.on("end", resolve));
    const source = pattern(count);
    source.pipe(socket, { end: false });
    source.on("end", () => void ended.then(() => socket.end(sum())));
  }
}

net.createServer({ allowHalfOpen: true }, serve).listen(9000);
net
  .createServer((socket) => {
    socket.on("error", () => socket.destroy());
    socket.write("220 ready\r\n");
    socket.on("data", (chunk) => socket.write(`250 ${chunk.toString("latin1").trim()}\r\n`));
  })
  .listen(2525);
http.createServer((_request, response) => response.end("private")).listen(9001, "127.0.0.1");
