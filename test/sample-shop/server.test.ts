import { request } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { HttpClient } from "../../sample-shop/shared/client.ts";
import { type Routes, startServer } from "../../sample-shop/shared/server.ts";

const owned: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of owned.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function start(routes: Routes) {
  const server = await startServer(0, routes);
  const http = new HttpClient();
  owned.push(server, http);
  return { server, http, url: `http://127.0.0.1:${server.port}` };
}

const routes: Routes = {
  "GET /things/:id": ({ params }) => ({ json: { id: params.id } }),
  "POST /echo": ({ body }) => ({ json: { body } }),
  "GET /broken": () => {
    throw new TypeError("a bug");
  },
};

describe("the shop's server", () => {
  it.each<[why: string, method: string, path: string, status: number]>([
    ["a route with a parameter", "GET", "/things/7", 200],
    ["a query beside the path", "GET", "/things/7?a=b", 200],
    ["HEAD where there is GET", "HEAD", "/things/7", 200],
    ["a parameter that is missing", "GET", "/things/", 404],
    ["an unknown path", "GET", "/nothing", 404],
    ["a method that is not for the path", "DELETE", "/things/7", 405],
    ["a bug in a handler", "GET", "/broken", 500],
  ])("%s: %s %s is answered %d", async (_, method, path, status) => {
    const { http, url } = await start(routes);
    expect((await http.call({ method, url: url + path })).status).toBe(status);
  });

  it("refuses a body that is not JSON, and one without end", async () => {
    const { http, url } = await start(routes);
    const raw = (payload: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        request(`${url}/echo`, { method: "POST" }, (response) => resolve(response.resume().statusCode))
          .on("error", reject)
          .end(payload);
      });
    expect(await raw("{")).toBe(400);
    expect(await raw(JSON.stringify("x".repeat(70_000)))).toBe(413);
    expect((await http.call({ method: "POST", url: `${url}/echo`, body: { a: 1 } })).json).toEqual({ body: { a: 1 } });
  });

  it("answers what is under way while it closes, and nothing after", async () => {
    const { promise: release, resolve } = Promise.withResolvers<void>();
    const { promise: entered, resolve: enter } = Promise.withResolvers<void>();
    const { server, http, url } = await start({
      "GET /slow": async () => {
        enter();
        await release;
        return { json: { done: true } };
      },
    });
    const slow = http.call({ method: "GET", url: `${url}/slow` });
    await entered;
    const closed = server.close();
    resolve();
    expect(await slow).toMatchObject({ status: 200, headers: { connection: "close" } });
    await closed;
    await expect(http.call({ method: "GET", url: `${url}/slow` })).rejects.toThrow("ECONNREFUSED");
  });
});
