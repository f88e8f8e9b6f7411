// One unary gRPC call over node:http2: /greeter.Greeter/Greet, { 1: name } to { 1: greeting }.
import http2 from "node:http2";

/** A protobuf message whose one field, number 1, is a short text, with gRPC's five bytes before it. */
export function encode(text) {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, bytes.length + 2, 0x0a, bytes.length]), bytes]);
}

export function decode(bytes) {
  return bytes.toString("utf8", 7, 7 + bytes[6]);
}

/** { greeting, status }: gRPC's status comes in the trailers. */
export function greet(url, name) {
  return new Promise((resolve, reject) => {
    const session = http2.connect(url).on("error", reject);
    const headers = { "content-type": "application/grpc", te: "trailers", ":method": "POST" };
    const stream = session.request({ ...headers, ":path": "/greeter.Greeter/Greet" });
    const chunks = [];
    let status = null;
    stream.on("error", reject).on("data", (chunk) => chunks.push(chunk));
    stream.on("trailers", (trailers) => {
      status = trailers["grpc-status"];
    });
    stream.on("end", () => {
      session.close();
      resolve({ greeting: decode(Buffer.concat(chunks)), status });
    });
    stream.end(encode(name));
  });
}
