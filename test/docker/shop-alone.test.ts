// The sample shop without any mesh: what the mesh is later measured against, and what a user gets from compose alone.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { HttpClient } from "../../sample-shop/shared/client.ts";
import { eventually } from "../support/eventually.ts";
import { ShopProject } from "../support/shop-project.ts";

describe("the sample shop without a mesh", () => {
  let shop: ShopProject;
  let url = "";
  const http = new HttpClient();

  beforeAll(async () => {
    shop = await ShopProject.start(`devmesh-test-shop-${process.pid}`);
    url = await shop.url();
    await eventually(async () => {
      const { json } = await http.call({ method: "GET", url: `${url}/api/cart` });
      expect(json).toMatchObject({ total: 0 });
    });
  });

  afterAll(async () => {
    http.close();
    await shop?.close();
  });

  it("takes a customer from the page to the receipt, with the cart kept in Redis", async () => {
    const headers = { cookie: "cart=customer-1" };
    const call = (method: string, path: string, body?: unknown) =>
      http.call({ method, url: url + path, headers, ...(body === undefined ? {} : { body }) });
    expect((await call("GET", "/")).text).toContain("Corner Shop");
    await call("POST", "/api/cart/items", { product: "mug", quantity: 2 });
    await call("POST", "/api/cart/items", { product: "lamp" });
    await call("POST", "/api/cart/items", { product: "kettle" });
    expect((await call("DELETE", "/api/cart/items/kettle")).json).toMatchObject({
      lines: [
        { product: "lamp", quantity: 1 },
        { product: "mug", quantity: 2 },
      ],
      total: 7400,
    });
    expect((await shop.compose("exec", "-T", "redis", "redis-cli", "HGET", "cart:customer-1", "mug")).trim()).toBe("2");
    expect(await call("POST", "/api/checkout")).toMatchObject({ status: 200, json: { amount: 7400 } });
    expect((await call("GET", "/api/cart")).json).toMatchObject({ lines: [], total: 0 });
    expect((await call("POST", "/api/checkout")).status).toBe(409);
  });

  it("reaches both versions of payment by their shared name", async () => {
    const body = { items: [{ product: "mug" }] };
    const versions = new Set<unknown>();
    await eventually(async () => {
      const buying = Array.from({ length: 20 }, () => http.call({ method: "POST", url: `${url}/api/checkout`, body }));
      for (const { json } of await Promise.all(buying)) versions.add((json as { version?: unknown } | null)?.version);
      expect([...versions].sort()).toEqual(["v1", "v2"]);
    });
  });

  it("keeps carts while the cart service restarts, and finds Redis again after Redis restarts", async () => {
    const headers = { cookie: "cart=customer-2" };
    await http.call({ method: "POST", url: `${url}/api/cart/items`, headers, body: { product: "plant" } });
    await shop.compose("restart", "-t", "5", "cart");
    await eventually(async () => {
      expect((await http.call({ method: "GET", url: `${url}/api/cart`, headers })).json).toMatchObject({ total: 2200 });
    });
    await shop.compose("restart", "-t", "5", "redis");
    await eventually(async () => {
      expect((await http.call({ method: "GET", url: `${url}/api/cart`, headers })).status).toBe(200);
    });
  });

  it("ends on SIGTERM, every service by itself", async () => {
    const start = performance.now();
    await shop.compose("stop", "-t", "10", "shopper", "website", "cart", "payment-v1");
    expect(performance.now() - start).toBeLessThan(6_000);
    // A number sent by a signal is above 128: none was killed.
    expect(await shop.compose("ps", "-a").catch(() => shop.compose("ps"))).not.toMatch(/Exit 1\d\d|Exited \(1\d\d\)/);
  });
});
