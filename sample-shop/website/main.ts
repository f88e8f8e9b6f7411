import { HttpClient } from "../shared/client.ts";
import { closeOnSignal, numberFromEnv } from "../shared/lifetime.ts";
import { startServer } from "../shared/server.ts";
import { websiteRoutes } from "./service.ts";

const http = new HttpClient();
const cartUrl = process.env.CART_URL ?? "http://cart:8080";
const server = await startServer(numberFromEnv("PORT", 8080), websiteRoutes({ http, cartUrl }));
closeOnSignal(server, http);
console.log(`website listens on ${server.port}`);
