// POST /charge, and the switch that makes it fail or slow.
import { setTimeout as delay } from "node:timers/promises";
import { HttpError, type Routes } from "../shared/server.ts";
import { calm, changedChaos } from "./chaos.ts";
import { charge, parseAmount } from "./charge.ts";

export interface PaymentOptions {
  /** Any name but v1 is a version with loyalty points. */
  readonly version: string;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
}

export function paymentRoutes({ version, random }: PaymentOptions): Routes {
  let chaos = calm;
  return {
    "POST /charge": async ({ body }) => {
      const amount = parseAmount(body);
      if (amount === null) throw new HttpError(400, "amount is a whole number of cents above 0");
      if (chaos.latencyMs > 0) await delay(chaos.latencyMs);
      if (random() < chaos.failureRate) {
        return {
          status: 503,
          json: { version, error: `payment ${version} was told to fail (failureRate ${chaos.failureRate})` },
        };
      }
      return { json: charge(version, amount) };
    },
    "GET /admin/chaos": () => ({ json: { version, ...chaos } }),
    "PUT /admin/chaos": ({ body }) => {
      const changed = changedChaos(chaos, body);
      if (typeof changed === "string") throw new HttpError(400, changed);
      chaos = changed;
      return { json: { version, ...chaos } };
    },
    "GET /healthz": () => ({ json: { service: "payment", version } }),
  };
}
