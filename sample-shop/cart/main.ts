import { HttpClient } from "../shared/client.ts";
import { closeOnSignal, numberFromEnv } from "../shared/lifetime.ts";
import { startServer } from "../shared/server.ts";
import { RedisClient } from "./redis.ts";
import { cartRoutes } from "./service.ts";

const redis = new RedisClient({
  host: process.env.REDIS_HOST ?? "redis",
  port: numberFromEnv("REDIS_PORT", 6379),
  log: console.error,
});
const http = new HttpClient();
const paymentUrl = process.env.PAYMENT_URL ?? "http://payment:8080";
const versionUrl = (version: string) =>
  process.env[`PAYMENT_${version.toUpperCase()}_URL`] ?? `http://payment-${version}:8080`;
const server = await startServer(numberFromEnv("PORT", 8080), cartRoutes({ redis, http, paymentUrl, versionUrl }));
closeOnSignal(server, http, redis);
console.log(`cart listens on ${server.port}`);
