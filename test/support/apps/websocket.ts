// A WebSocket server for tests: answers each text message (of at most 125 bytes) with the same text. RFC 6455, no more of it.
import { createHash } from "node:crypto";
import http from "node:http";
import type { Socket } from "node:net";

const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const opText = 0x81;
const opClose = 0x88;

const server = http.createServer((_request, response) => response.writeHead(426).end("a WebSocket is wanted here"));
server.on("upgrade", (request, socket: Socket) => {
  const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}${guid}`).digest("base64");
  socket.on("error", () => socket.destroy());
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let waiting = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk]);
    // A client's frame: operation, length with the mask bit, mask of 4 bytes, masked text.
    while (waiting.length >= 6 && waiting.length >= 6 + ((waiting[1] ?? 0) & 0x7f)) {
      const length = (waiting[1] ?? 0) & 0x7f;
      const mask = waiting.subarray(2, 6);
      const text = waiting.subarray(6, 6 + length).map((byte, i) => byte ^ (mask[i % 4] ?? 0));
      const isClose = waiting[0] === opClose;
      socket.write(Buffer.concat([Buffer.from([isClose ? opClose : opText, length]), text]));
      if (isClose) socket.end();
      waiting = waiting.subarray(6 + length);
    }
  });
  socket.on("end", () => socket.end());
});
server.listen(Number(process.env.PORT ?? 8080), () => console.log("websocket listens"));
process.on("SIGTERM", () => process.exit(0));
