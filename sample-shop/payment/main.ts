import { closeOnSignal, numberFromEnv } from "../shared/lifetime.ts";
import { startServer } from "../shared/server.ts";
import { paymentRoutes } from "./service.ts";

const version = process.env.VERSION ?? "v1";
const server = await startServer(numberFromEnv("PORT", 8080), paymentRoutes({ version, random: Math.random }));
closeOnSignal(server);
console.log(`payment ${version} listens on ${server.port}`);
