// Carts in Redis: one hash per cart, product to quantity, forgotten after a day.
import { type Line, quantityMax } from "../shared/catalog.ts";
import type { RedisReply } from "./resp.ts";

const cartSeconds = "86400";

/** What carts need of Redis. */
export interface Redis {
  command(...args: readonly string[]): Promise<RedisReply>;
}

export async function readCart(redis: Redis, id: string): Promise<readonly Line[]> {
  const reply = await redis.command("HGETALL", key(id));
  if (!Array.isArray(reply)) return [];
  const lines: Line[] = [];
  for (let index = 0; index + 1 < reply.length; index += 2) {
    lines.push({ product: String(reply[index]), quantity: Number(reply[index + 1]) });
  }
  return lines.sort((a, b) => a.product.localeCompare(b.product));
}

export async function addToCart(redis: Redis, id: string, line: Line): Promise<void> {
  const [quantity] = await Promise.all([
    redis.command("HINCRBY", key(id), line.product, String(line.quantity)),
    redis.command("EXPIRE", key(id), cartSeconds),
  ]);
  if (Number(quantity) > quantityMax) await redis.command("HSET", key(id), line.product, String(quantityMax));
}

export async function removeFromCart(redis: Redis, id: string, product: string): Promise<void> {
  await redis.command("HDEL", key(id), product);
}

export async function emptyCart(redis: Redis, id: string): Promise<void> {
  await redis.command("DEL", key(id));
}

function key(id: string): string {
  return `cart:${id}`;
}
