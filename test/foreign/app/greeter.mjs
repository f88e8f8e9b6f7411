// A gRPC service: greets by name.
import http2 from "node:http2";
import { decode, encode } from "./greeter-call.mjs";

const server = http2.createServer();
server.on("stream", (stream) => {
  const chunks = [];
  stream.on("error", () => stream.close());
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.on("end", () => {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(encode(`hello ${decode(Buffer.concat(chunks))}`));
  });
});
server.listen(50051);
