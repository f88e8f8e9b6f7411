// The carts' API. Checkout charges through the payment service and hands on what that answered.
import { type Line, parseLine, totalCents } from "../shared/catalog.ts";
import type { Answer, HttpClient } from "../shared/client.ts";
import { HttpError, type Reply, type Routes } from "../shared/server.ts";
import type { TraceHeaders } from "../shared/trace.ts";
import { addToCart, emptyCart, readCart, removeFromCart } from "./carts.ts";
import type { RedisClient } from "./redis.ts";

const linesMax = 50;

export interface CartOptions {
  readonly redis: RedisClient;
  readonly http: HttpClient;
  /** http://payment:8080 */
  readonly paymentUrl: string;
  /** Base address of one version, for its switch of failures: http://payment-v2:8080 */
  readonly versionUrl: (version: string) => string;
}

export function cartRoutes(options: CartOptions): Routes {
  const { redis, http } = options;
  const shown = async (id: string): Promise<Reply> => {
    const lines = await readCart(redis, id);
    return { json: { id, lines, total: totalCents(lines) } };
  };
  return {
    "GET /carts/:id": ({ params }) => shown(cartId(params.id)),
    "POST /carts/:id/items": async ({ params, body }) => {
      const line = parseLine(body);
      if (line === null) throw new HttpError(400, "send { product, quantity } with a product of the shop");
      await addToCart(redis, cartId(params.id), line);
      return shown(cartId(params.id));
    },
    "DELETE /carts/:id/items/:product": async ({ params }) => {
      await removeFromCart(redis, cartId(params.id), params.product ?? "");
      return shown(cartId(params.id));
    },
    "POST /carts/:id/checkout": async ({ params, trace }) => {
      const id = cartId(params.id);
      const lines = await readCart(redis, id);
      if (lines.length === 0) throw new HttpError(409, "the cart is empty");
      const reply = await pay(options, lines, trace);
      if (reply.status === 200) await emptyCart(redis, id);
      return reply;
    },
    // Buys without a cart: one request, nothing kept.
    "POST /checkout": ({ body, trace }) => pay(options, parseLines(body), trace),
    "GET /chaos/:version": async ({ params, trace }) =>
      passOn(await http.call({ method: "GET", url: chaosUrl(options, params.version), headers: trace })),
    "PUT /chaos/:version": async ({ params, trace, body }) =>
      passOn(await http.call({ method: "PUT", url: chaosUrl(options, params.version), headers: trace, body })),
    "GET /healthz": () => ({ json: { service: "cart", redis: redis.isConnected ? "connected" : "not connected" } }),
  };
}

async function pay({ http, paymentUrl }: CartOptions, lines: readonly Line[], trace: TraceHeaders): Promise<Reply> {
  const amount = totalCents(lines);
  const call = { method: "POST", url: `${paymentUrl}/charge`, headers: trace, body: { amount } };
  const answer = await http.call(call).catch((error: Error) => {
    throw new HttpError(502, `payment cannot be reached: ${error.message}`);
  });
  if (answer.status === 200) return { status: 200, json: answer.json };
  // What the payment service, or a mesh on the way to it, gave as its reason.
  const reason = errorOf(answer) ?? answer.text.slice(0, 500);
  return { status: 502, json: { error: `payment answered ${answer.status}: ${reason}`, paymentStatus: answer.status } };
}

function errorOf({ json }: Answer): string | null {
  const error = typeof json === "object" && json !== null && "error" in json ? json.error : null;
  return typeof error === "string" ? error : null;
}

function passOn({ status, json, text }: Answer): Reply {
  return { status, json: json ?? { error: text.slice(0, 500) } };
}

function cartId(id: string | undefined): string {
  if (id === undefined || !/^[\w-]{1,64}$/.test(id))
    throw new HttpError(400, "a cart's id is letters, digits, _ and -");
  return id;
}

function chaosUrl({ versionUrl }: CartOptions, version: string | undefined): string {
  if (version === undefined || !/^v\d{1,3}$/.test(version)) throw new HttpError(400, "versions are v1, v2");
  return `${versionUrl(version)}/admin/chaos`;
}

function parseLines(body: unknown): readonly Line[] {
  const items = typeof body === "object" && body !== null && "items" in body ? body.items : null;
  const lines = Array.isArray(items) && items.length <= linesMax ? items.map(parseLine) : [];
  const good = lines.filter((line) => line !== null);
  if (good.length === 0 || good.length < lines.length)
    throw new HttpError(400, "send { items: [{ product, quantity }] }");
  return good;
}
