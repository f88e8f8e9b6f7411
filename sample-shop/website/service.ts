// The page and the API behind it. Carts belong to a cookie; everything else is the cart service's.
import { randomUUID } from "node:crypto";
import { catalog } from "../shared/catalog.ts";
import type { Answer, HttpClient } from "../shared/client.ts";
import { type Call, HttpError, type Reply, type Routes } from "../shared/server.ts";
import { page } from "./page.ts";

export interface WebsiteOptions {
  readonly http: HttpClient;
  /** http://cart:8080 */
  readonly cartUrl: string;
}

export function websiteRoutes({ http, cartUrl }: WebsiteOptions): Routes {
  const ask = async (call: Call, method: string, path: string): Promise<Answer> => {
    const body = call.body === null ? {} : { body: call.body };
    return http.call({ method, url: `${cartUrl}${path}`, headers: call.trace, ...body }).catch((error: Error) => {
      throw new HttpError(502, `cart cannot be reached: ${error.message}`);
    });
  };
  const withCart =
    (method: string, path: (call: Call) => string) =>
    async (call: Call): Promise<Reply> => {
      const known = cartOf(call);
      const id = known ?? randomUUID();
      const headers = known === null ? { "set-cookie": `cart=${id}; Path=/; HttpOnly; SameSite=Lax` } : {};
      return { ...passOn(await ask(call, method, `/carts/${id}${path(call)}`)), headers };
    };
  return {
    "GET /": () => ({ html: page(catalog) }),
    "GET /api/products": () => ({ json: catalog }),
    "GET /api/cart": withCart("GET", () => ""),
    "POST /api/cart/items": withCart("POST", () => "/items"),
    "DELETE /api/cart/items/:product": withCart(
      "DELETE",
      ({ params }) => `/items/${encodeURIComponent(params.product ?? "")}`,
    ),
    // With `items` in the body it buys just those; without, what is in the cart.
    "POST /api/checkout": async (call) =>
      call.body === null ? withCart("POST", () => "/checkout")(call) : passOn(await ask(call, "POST", "/checkout")),
    "GET /api/chaos/:version": async (call) => passOn(await ask(call, "GET", chaosPath(call))),
    "PUT /api/chaos/:version": async (call) => passOn(await ask(call, "PUT", chaosPath(call))),
    "GET /healthz": () => ({ json: { service: "website" } }),
  };
}

function chaosPath({ params }: Call): string {
  return `/chaos/${encodeURIComponent(params.version ?? "")}`;
}

function cartOf({ request }: Call): string | null {
  return /(?:^|;\s*)cart=([\w-]{1,64})(?:;|$)/.exec(request.headers.cookie ?? "")?.[1] ?? null;
}

function passOn({ status, json, text }: Answer): Reply {
  return { status, json: json ?? { error: text.slice(0, 500) || `cart answered ${status}` } };
}
