// A WebSocket that answers each text with the same in capitals (RFC 6455, texts of at most 125 bytes).
import { createHash } from "node:crypto";
import http from "node:http";

const server = http.createServer((_request, response) => response.end("chat is here"));
server.on("upgrade", (request, socket) => {
  const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
  const accept = createHash("sha1").update(key).digest("base64");
  socket.on("error", () => socket.destroy());
  socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
  socket.write(`Sec-WebSocket-Accept: ${accept}\r\n\r\n`);
  let rest = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    while (rest.length >= 6 && rest.length >= 6 + (rest[1] & 0x7f)) {
      const end = 6 + (rest[1] & 0x7f);
      const mask = rest.subarray(2, 6);
      const text = rest.subarray(6, end).map((byte, i) => byte ^ mask[i % 4]);
      if (rest[0] === 0x88) socket.end(Buffer.from([0x88, 0]));
      else {
        const answer = Buffer.from(Buffer.from(text).toString().toUpperCase());
        socket.write(Buffer.concat([Buffer.from([0x81, answer.length]), answer]));
      }
      rest = rest.subarray(end);
    }
  });
  socket.on("end", () => socket.end());
});
server.listen(3001);
