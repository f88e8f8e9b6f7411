// The API: orders go to the database, to the queue and to the statistics; what is asked often comes from the cache.
import { execFile } from "node:child_process";
import dgram from "node:dgram";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { promisify } from "node:util";
import { greet } from "./greeter-call.mjs";
import { Postgres } from "./postgres.mjs";

const run = promisify(execFile);
const password = process.env.DATABASE_PASSWORD;
const orders = new Postgres({ host: "db", port: 5432, user: "app", database: "orders", password });
const statistics = dgram.createSocket("udp4");
const queue = `--url=amqp://app:${password}@queue`;
const quoted = (text) => `'${text.replaceAll("'", "''")}'`;
const redis = async (...args) => (await run("redis-cli", args)).stdout.trim();

/** The first bytes that a server says by itself. */
function firstWords(host, port) {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port }).setTimeout(20_000, () => socket.destroy(new Error("silent")));
    socket.on("error", reject).once("data", (bytes) => {
      socket.destroy();
      resolve(bytes.toString("latin1", 5, bytes.indexOf(0, 5)));
    });
  });
}

async function take(id, item) {
  await orders.query(`INSERT INTO orders VALUES (${quoted(id)}, ${quoted(item)})`);
  await run("amqp-declare-queue", [queue, "-q", "orders", "-d"]);
  await run("amqp-publish", [queue, "-r", "orders", "-b", id]);
  statistics.send(id, 8125, "stats");
  return { id };
}

const routes = {
  "GET /health": () => "well",
  "GET /settings": () => process.env.GREETING,
  // Read for each request, as development servers do.
  "GET /text": () => readFileSync(new URL("./text.txt", import.meta.url), "utf8").trim(),
  "GET /orders": async (query) => await orders.query(`SELECT item FROM orders WHERE id = ${quoted(query.get("id"))}`),
  "POST /orders": async (query) => await take(query.get("id"), query.get("item")),
  "GET /packed": async (query) => await redis("-h", "cache", "get", `packed:${query.get("id")}`),
  "GET /linked": async () => await redis("-h", "fast-memory", "ping"),
  "GET /counted": async (query) => await (await fetch(`http://stats:8126/${query.get("id")}`)).text(),
  "GET /greet": async (query) => await greet("http://greeter:50051", query.get("name")),
  "GET /legacy": async () => await firstWords("legacy.example", 3306),
};

const server = http.createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, "http://api");
  const route = routes[`${request.method} ${pathname}`];
  try {
    const answer = route === undefined ? "no such page" : await route(searchParams);
    response.writeHead(route === undefined ? 404 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  } catch (error) {
    response.writeHead(503, { "content-type": "application/json" });
    response.end(JSON.stringify({ error: `${error.code ?? ""} ${error.message}` }));
  }
});
server.listen(3000);
process.on("SIGTERM", () => process.exit(0));
