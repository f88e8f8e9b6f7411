import { once } from "node:events";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { connectApi } from "../../../daemon/api/client.ts";
import { isHostAllowed, listenForMetrics } from "../../../daemon/api/metrics-listener.ts";
import { Problem } from "../../../daemon/api/problem.ts";
import { type ApiBackend, ApiServer } from "../../../daemon/api/server.ts";
import type { StatusView } from "../../../daemon/api/view.ts";
import { eventually } from "../../support/eventually.ts";

const view = (revision: number): StatusView => ({
  mesh: "shop",
  project: "shop",
  version: "0.1.0",
  pid: 1,
  startedAt: "2026-01-01T00:00:00.000Z",
  health: "ok",
  config: { file: null, revision, appliedAt: "2026-01-01T00:00:00.000Z", isInSync: true, diagnostics: [] },
  services: [],
  gateways: [],
  unmeshed: [],
  troubles: [],
  edges: [],
  totals: { rps: 0, errorRatio: 0, p50Ms: 0, p99Ms: 0 },
  mtlsRatio: null,
  events: [],
});

async function start(change: Partial<ApiBackend> = {}) {
  const folder = await mkdtemp(join(tmpdir(), "api-"));
  const socket = join(folder, "d.sock");
  const listeners = new Set<() => void>();
  const state = { revision: 1, missing: [] as string[], isDown: false, logsEnded: false, renewals: 0 };
  const backend: ApiBackend = {
    ping: () => ({ pid: 7, version: "0.1.0", mesh: "shop" }),
    status: () => view(state.revision),
    recount: async (withinMs) => ({ ...view(state.revision), project: `counted within ${withinMs}` }),
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    missing: () => state.missing,
    async *logs(query, signal) {
      const line = {
        at: "",
        service: query.service ?? "all",
        container: "c",
        source: "app",
        stream: "stdout",
      } as const;
      for (let i = 0; i < (query.tail ?? 3); i++) yield { ...line, text: `line ${i}` };
      if (query.isFollowed && !signal.aborted) await once(signal, "abort");
      state.logsEnded = true;
    },
    reload: async () => {
      state.revision++;
    },
    renew: async () => {
      state.renewals++;
    },
    blockedPorts: async () => [{ service: "web", address: "0.0.0.0:80", holder: " by nginx (process 8)" }],
    metrics: async () => ({ contentType: "text/plain", text: "up 1\n" }),
    down: async (onStep) => onStep("removing sidecars"),
    ...change,
  };
  const onDown = () => {
    state.isDown = true;
  };
  const server = await ApiServer.listen({ socket, backend, onDown, onError: () => undefined });
  onTestFinished(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const changed = () => {
    for (const listener of [...listeners]) listener();
  };
  return { socket, client: connectApi(socket), server, state, changed, listeners };
}

test("the socket is the user's alone, and the calls answer", async () => {
  const { socket, client, state } = await start();
  expect((await stat(socket)).mode & 0o777).toBe(0o600);
  expect(await client.ping()).toEqual({ pid: 7, version: "0.1.0", mesh: "shop" });
  expect((await client.status()).mesh).toBe("shop");
  expect((await client.status({ recountMs: 1500 })).project).toBe("counted within 1500");
  await expect(client.status({ recountMs: -1 })).rejects.toMatchObject({ code: "DM0002" });
  expect((await client.reload()).config.revision).toBe(2);
  expect(await client.metrics()).toBe("up 1\n");
  await client.renew();
  expect(state.renewals).toBe(1);
});

test("a socket file that a dead daemon left is replaced", async () => {
  const folder = await mkdtemp(join(tmpdir(), "api-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, "s"), "");
  const { server } = await start();
  const backend = { ping: () => ({ pid: 1, version: "", mesh: "m" }) } as unknown as ApiBackend;
  const second = await ApiServer.listen({
    socket: join(folder, "s"),
    backend,
    onDown: () => undefined,
    onError: () => undefined,
  });
  expect((await connectApi(join(folder, "s")).ping()).mesh).toBe("m");
  await second.close();
  await server.close();
});

test("the stream shows the status at once, then changes only, at most four a second", async () => {
  const { client, state, changed } = await start();
  const stop = new AbortController();
  const seen: { revision: number; at: number }[] = [];
  const reading = (async () => {
    for await (const { config } of client.stream(stop.signal)) {
      seen.push({ revision: config.revision, at: performance.now() });
    }
  })();
  await eventually(() => expect(seen).toHaveLength(1));
  changed();
  for (let i = 0; i < 20; i++) {
    state.revision++;
    changed();
  }
  await eventually(() => expect(seen.at(-1)?.revision).toBe(21));
  state.revision++;
  changed();
  await eventually(() => expect(seen.at(-1)?.revision).toBe(22));
  expect(seen.length).toBeLessThanOrEqual(4);
  expect((seen.at(-1)?.at ?? 0) - (seen.at(-2)?.at ?? 0)).toBeGreaterThan(200);
  stop.abort();
  await reading;
});

test("a stream whose reader leaves is let go", async () => {
  const { client, listeners } = await start();
  for await (const _status of client.stream()) break;
  await eventually(() => expect(listeners.size).toBe(0));
});

test("wait answers as soon as nothing is missing", async () => {
  const { client, state, changed } = await start();
  state.missing = ["cart-1: sidecar starting"];
  const waiting = client.wait(5_000);
  await eventually(() => expect(client.ping()).resolves.toBeDefined());
  changed();
  state.missing = [];
  changed();
  expect((await waiting).health).toBe("ok");
});

test("wait gives up at its time and names what is missing", async () => {
  const { client, state } = await start();
  state.missing = ["cart-1: sidecar starting", "payment-1: not in sync"];
  await expect(client.wait(30)).rejects.toMatchObject({
    code: "DM0301",
    message: expect.stringMatching(/cart-1: sidecar starting; payment-1/),
    exitCode: 6,
  });
});

test("logs come line by line and end with the source", async () => {
  const { client } = await start();
  const texts: string[] = [];
  for await (const line of client.logs({ service: "cart", isFollowed: false, tail: 2, since: null }))
    texts.push(`${line.service} ${line.text}`);
  expect(texts).toEqual(["cart line 0", "cart line 1"]);
});

test("followed logs end at their source when the reader leaves", async () => {
  const { client, state } = await start();
  const query = { service: null, isFollowed: true, tail: 1, since: null };
  for await (const _line of client.logs(query)) break;
  await eventually(() => expect(state.logsEnded).toBe(true));
});

test("down tells its steps, says done, and only then is the process told to end", async () => {
  const { client, state } = await start();
  const kinds: string[] = [];
  for await (const line of client.down()) kinds.push(line.t);
  expect(kinds).toEqual(["step", "done"]);
  await eventually(() => expect(state.isDown).toBe(true));
});

test("a down that fails says why, and the process is told to end: the next one tries again", async () => {
  const { client, state } = await start({
    down: async () => {
      throw new Problem("DM0101", "Docker does not answer", "start it");
    },
  });
  const last = [];
  for await (const line of client.down()) last.push(line);
  expect(last).toEqual([{ t: "problem", code: "DM0101", message: "Docker does not answer", hint: "start it" }]);
  await eventually(() => expect(state.isDown).toBe(true));
});

test.each([
  [
    "a Problem keeps its code and hint",
    new Problem("DM0402", "disk full", "free some"),
    { code: "DM0402", hint: "free some" },
  ],
  ["a bug is DM0001", new Error("boom"), { code: "DM0001", message: "boom" }],
])("%s on its way through the API", async (_why, error, expected) => {
  const { client } = await start({
    status: () => {
      throw error;
    },
  });
  await expect(client.status()).rejects.toMatchObject(expected);
});

test("an error in the middle of a stream is thrown as a Problem", async () => {
  const { client } = await start({
    async *logs() {
      yield { at: "", service: "a", container: "c", source: "app", stream: "stdout", text: "first" };
      throw new Problem("DM0101", "Docker is gone");
    },
  });
  const read = async () => {
    for await (const _line of client.logs({ service: null, isFollowed: true, tail: null, since: null }));
  };
  await expect(read()).rejects.toMatchObject({ code: "DM0101" });
});

test("no daemon is DM0201, with exit code 5", async () => {
  await expect(connectApi("/tmp/devmesh-nothing-here.sock").status()).rejects.toMatchObject({
    code: "DM0201",
    exitCode: 5,
  });
});

test("unknown routes, bad queries and large bodies are refused", async () => {
  const { socket } = await start();
  const ask = (method: string, path: string, body = ""): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ socketPath: socket, method, path, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      sent.on("error", reject);
      sent.end(body);
    });
  expect(await ask("GET", "/v2/status")).toBe(404);
  expect(await ask("GET", "/v1/down")).toBe(404);
  expect(await ask("GET", "/v1/wait?timeoutMs=soon")).toBe(400);
  expect(await ask("GET", "/v1/logs?tail=-1")).toBe(400);
  expect(await ask("POST", "/v1/reload", "x".repeat(70_000))).toBe(400);
});

test("closing ends open streams and waits", async () => {
  const { server, client, state } = await start();
  state.missing = ["x"];
  const waiting = client.wait(60_000).then(
    () => "answered",
    () => "ended",
  );
  await eventually(() => expect(client.ping()).resolves.toBeDefined());
  await server.close();
  expect(await waiting).toBe("ended");
});

test.each([
  ["an address", "127.0.0.1:9090", true],
  ["an IPv6 address", "[::1]:9090", true],
  ["localhost", "localhost:9090", true],
  ["Docker's name for the host", "host.docker.internal:9090", true],
  ["the configured name", "metrics.lan:9090", true],
  ["a name that a page may rebind", "evil.example:9090", false],
  ["no Host", undefined, false],
])("metrics over TCP: %s", (_why, header, expected) => {
  expect(isHostAllowed(header, "metrics.lan")).toBe(expected);
});

test("the metrics listener serves /metrics, refuses other names, and reports a taken port", async () => {
  const metrics = async () => ({ contentType: "text/plain", text: "up 1\n" });
  const server = await listenForMetrics({ host: "127.0.0.1", port: 0, metrics });
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toBe("up 1\n");
  expect((await fetch(`http://127.0.0.1:${port}/v1/status`)).status).toBe(404);
  const socket = connect(port, "127.0.0.1");
  socket.write("GET /metrics HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n");
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 421/);
  socket.destroy();
  await expect(listenForMetrics({ host: "127.0.0.1", port, metrics })).rejects.toMatchObject({ code: "DM0401" });
});
