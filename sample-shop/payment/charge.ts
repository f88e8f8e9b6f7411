// What the versions of the payment service answer. v2 differs visibly: loyalty points and a printable receipt.
import { randomUUID } from "node:crypto";

export interface Charge {
  readonly version: string;
  readonly id: string;
  readonly amount: number;
  readonly currency: string;
  readonly loyaltyPoints?: number;
  readonly receipt?: string;
}

/** A cent more than anybody's cart can hold is a mistake. */
const centsMax = 100_000_000;

/** The amount to charge, in cents, or null when the body has none that makes sense. */
export function parseAmount(body: unknown): number | null {
  if (typeof body !== "object" || body === null) return null;
  const { amount } = body as { amount?: unknown };
  return typeof amount === "number" && Number.isInteger(amount) && amount > 0 && amount <= centsMax ? amount : null;
}

export function charge(version: string, amount: number): Charge {
  const plain = { version, id: randomUUID(), amount, currency: "EUR" };
  if (version === "v1") return plain;
  const loyaltyPoints = Math.ceil(amount / 100);
  const paid = (amount / 100).toFixed(2);
  return {
    ...plain,
    loyaltyPoints,
    receipt: `Paid ${paid} EUR. You earned ${loyaltyPoints} loyalty points. Thank you!`,
  };
}
