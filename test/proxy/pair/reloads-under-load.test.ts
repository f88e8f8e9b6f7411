// Exchanges of every kind go on while everything around them is reloaded.
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import type { ServiceConfig } from "../../../proxy/contract/config.ts";
import { eventually } from "../../support/eventually.ts";
import { freshAddress, type Pair, serviceConfig, startPair } from "../../support/mesh-pair.ts";

const hashOf = (body: Buffer | string) => createHash("sha256").update(body).digest("hex");
const body = randomBytes(200_000);

/** Answers an upload with its hash, and a GET with a body; both slowly enough for several reloads. */
const app = () =>
  http.createServer((request, response) => {
    const hash = createHash("sha256");
    request.on("data", (chunk: Buffer) => hash.update(chunk));
    request.on("end", () => {
      if (request.method === "POST") response.end(hash.digest("hex"));
      else {
        response.write(body.subarray(0, 100_000));
        setImmediate(() => response.end(body.subarray(100_000)));
      }
    });
  });

async function exchange(pair: Pair, agent: http.Agent, isUpload: boolean): Promise<boolean> {
  const request = http.request(pair.request({ agent, method: isUpload ? "POST" : "GET" }));
  const answered = once(request, "response");
  if (isUpload) {
    for (let i = 0; i < body.length; i += 20_000) {
      request.write(body.subarray(i, i + 20_000));
      await nextTurn();
    }
  }
  request.end();
  const [response] = (await answered) as [http.IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const got = Buffer.concat(chunks);
  return response.statusCode === 200 && (isUpload ? String(got) === hashOf(body) : hashOf(got) === hashOf(body));
}

test("no exchange is lost or changed by sixty reloads of routes, policies, mTLS and readiness", async () => {
  await using pair = await startPair(app());
  const alias = freshAddress();
  await pair.receiver.redirectInbound(alias, pair.port);
  pair.receiver.dialled = { address: pair.receiver.address, port: pair.port };
  const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
  const state = { isOver: false, reloads: 0 };
  const base = serviceConfig("payment", pair.port);
  const reload = (n: number): void => {
    const parts: Partial<ServiceConfig> = {
      mtls: n % 3 === 0 ? "disable" : "permissive",
      waitForEndpointsMs: 10_000,
      routes: base.routes.map((route) => ({ ...route, name: `r${n % 5}`, timeoutMs: 20_000 + n })),
    };
    const isBalanced = n % 4 !== 1;
    pair.configureCaller({ ...base, ...parts }, [{ ...pair.endpoint, isBalanced, aliases: [alias] }]);
    pair.configureReceiver({
      mtls: "permissive",
      allow: n % 2 === 0 ? null : [{ from: ["*"], methods: [], paths: [] }],
    });
  };
  const load = Promise.all(
    Array.from({ length: 8 }, async (_, i) => {
      const results: boolean[] = [];
      while (!state.isOver) results.push(await exchange(pair, agent, i % 2 === 0));
      return results;
    }),
  );
  for (; state.reloads < 60; state.reloads++) {
    reload(state.reloads);
    for (let turn = 0; turn < 10; turn++) await nextTurn();
  }
  reload(0);
  state.isOver = true;
  const results = (await load).flat();
  agent.destroy();
  expect(results.length).toBeGreaterThan(20);
  expect(results.filter((isWhole) => !isWhole)).toEqual([]);
  await eventually(() => {
    const counted = pair.caller.counters.report().http;
    expect(counted.every(({ status, flags }) => status === 200 && flags === "-")).toBe(true);
    const sum = counted.flatMap(({ buckets }) => buckets).reduce((a, b) => a + b, 0);
    expect(sum).toBe(results.length);
    expect(pair.caller.engine.context.endpoints.get(pair.endpoint.id)?.active).toBe(0);
  });
});
