// The shop's HTTP services as they call each other, on real sockets; test/docker/shop-alone has Redis too.
import { afterEach, describe, expect, it } from "vitest";
import { RedisClient } from "../../sample-shop/cart/redis.ts";
import { cartRoutes } from "../../sample-shop/cart/service.ts";
import { paymentRoutes } from "../../sample-shop/payment/service.ts";
import { HttpClient } from "../../sample-shop/shared/client.ts";
import { type Routes, startServer } from "../../sample-shop/shared/server.ts";
import { websiteRoutes } from "../../sample-shop/website/service.ts";

const owned: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function serve(routes: Routes): Promise<string> {
  const server = await startServer(0, routes);
  owned.push(server);
  return `http://127.0.0.1:${server.port}`;
}

async function startShop(payment: Routes) {
  const http = new HttpClient();
  const redis = new RedisClient({ host: "127.0.0.1", port: 1, log: () => undefined });
  owned.push(redis, http);
  const paymentUrl = await serve(payment);
  const cartUrl = await serve(cartRoutes({ redis, http, paymentUrl, versionUrl: () => paymentUrl }));
  const url = await serve(websiteRoutes({ http, cartUrl }));
  return { http, url };
}

const never = () => 0.999;
const buy = { method: "POST", body: { items: [{ product: "mug", quantity: 2 }] } };

describe("the sample shop", () => {
  it("charges what the catalogue says, whatever a client claims", async () => {
    const { http, url } = await startShop(paymentRoutes({ version: "v1", random: never }));
    const body = { items: [{ product: "mug", quantity: 2, cents: 1, amount: 1 }] };
    const { status, json } = await http.call({ method: "POST", url: `${url}/api/checkout`, body });
    expect(status).toBe(200);
    expect(json).toEqual({ version: "v1", id: expect.any(String), amount: 2500, currency: "EUR" });
  });

  it("shows v2 by loyalty points and a receipt", async () => {
    const { http, url } = await startShop(paymentRoutes({ version: "v2", random: never }));
    const { json } = await http.call({ ...buy, url: `${url}/api/checkout` });
    expect(json).toMatchObject({
      version: "v2",
      loyaltyPoints: 25,
      receipt: expect.stringContaining("25 loyalty points"),
    });
  });

  it("hands trace headers, and the beta tester's choice, on through every service, and no other header", async () => {
    const seen: Record<string, unknown>[] = [];
    const { http, url } = await startShop({
      "POST /charge": ({ request }) => {
        seen.push(request.headers);
        return { json: { version: "v1" } };
      },
    });
    const trace = { "x-request-id": "r1", traceparent: "00-aa-bb-01", tracestate: "a=b", b3: "0", "x-beta": "true" };
    await http.call({
      ...buy,
      url: `${url}/api/checkout`,
      headers: { ...trace, authorization: "secret", cookie: "a=b" },
    });
    expect(seen[0]).toMatchObject(trace);
    expect(seen[0]).not.toHaveProperty("authorization");
    expect(seen[0]).not.toHaveProperty("cookie");
  });

  it("fails and slows as it is told while it runs", async () => {
    const { http, url } = await startShop(paymentRoutes({ version: "v1", random: () => 0.5 }));
    const set = (body: unknown) => http.call({ method: "PUT", url: `${url}/api/chaos/v1`, body });
    expect((await set({ failureRate: 0.6 })).json).toEqual({ version: "v1", failureRate: 0.6, latencyMs: 0 });
    const failed = await http.call({ ...buy, url: `${url}/api/checkout` });
    expect(failed).toMatchObject({
      status: 502,
      json: { paymentStatus: 503, error: expect.stringContaining("told to fail") },
    });
    await set({ failureRate: 0.4, latencyMs: 30 });
    const start = performance.now();
    expect((await http.call({ ...buy, url: `${url}/api/checkout` })).status).toBe(200);
    expect(performance.now() - start).toBeGreaterThanOrEqual(29);
    expect((await http.call({ method: "GET", url: `${url}/api/chaos/v1` })).json).toMatchObject({ latencyMs: 30 });
  });

  it.each<[why: string, body: unknown, says: string]>([
    ["a rate above 1", { failureRate: 2 }, "failureRate is 0 to 1"],
    ["a latency that is no number", { latencyMs: "5" }, "latencyMs is 0 to 60000"],
    ["an unknown key", { rate: 1 }, "there is no rate"],
    ["no object", [1], "send a JSON object"],
  ])("refuses chaos with %s", async (_, body, says) => {
    const { http, url } = await startShop(paymentRoutes({ version: "v1", random: never }));
    const answer = await http.call({ method: "PUT", url: `${url}/api/chaos/v1`, body });
    expect(answer).toMatchObject({ status: 400, json: { error: expect.stringContaining(says) } });
  });

  it.each<[why: string, body: unknown]>([
    ["an unknown product", { items: [{ product: "yacht" }] }],
    ["half a mug", { items: [{ product: "mug", quantity: 0.5 }] }],
    ["a negative quantity", { items: [{ product: "mug", quantity: -1 }] }],
    ["nothing", { items: [] }],
    ["a prototype's key", { items: [{ product: "__proto__" }] }],
  ])("sells not: %s", async (_, body) => {
    const { http, url } = await startShop(paymentRoutes({ version: "v1", random: never }));
    expect((await http.call({ method: "POST", url: `${url}/api/checkout`, body })).status).toBe(400);
  });

  it("passes on the reason that stands before a service, as a mesh gives it in plain text", async () => {
    const { http, url } = await startShop({
      "POST /charge": () => ({ status: 403, html: "RBAC: website may not POST /charge" }),
    });
    const { status, json } = await http.call({ ...buy, url: `${url}/api/checkout` });
    expect(status).toBe(502);
    expect(json).toEqual({ error: "payment answered 403: RBAC: website may not POST /charge", paymentStatus: 403 });
  });

  it("serves a page that needs nothing from elsewhere", async () => {
    const { http, url } = await startShop(paymentRoutes({ version: "v1", random: never }));
    const { status, headers, text } = await http.call({ method: "GET", url });
    expect(status).toBe(200);
    expect(headers["content-type"]).toBe("text/html; charset=utf-8");
    expect(text).not.toMatch(/(src|href)="(?!data:)/);
    for (const script of text.matchAll(/<script>([\s\S]*?)<\/script>/g))
      expect(() => new Function(script[1] ?? "")).not.toThrow();
  });
});
