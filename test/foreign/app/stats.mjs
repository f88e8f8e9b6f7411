// Counts what comes by UDP, and tells it by HTTP.
import dgram from "node:dgram";
import http from "node:http";

const counts = new Map();
dgram
  .createSocket("udp4")
  .on("message", (bytes) => counts.set(String(bytes), (counts.get(String(bytes)) ?? 0) + 1))
  .bind(8125);
http.createServer((request, response) => response.end(String(counts.get(request.url.slice(1)) ?? 0))).listen(8126);
