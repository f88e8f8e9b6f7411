import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import "../../../daemon/ca/reflect.ts";
import * as x509 from "@peculiar/x509";
import { afterEach, describe, expect, test } from "vitest";
import { connectEngine, type Engine, isStatus } from "../../../daemon/docker/engine.ts";
import { type Answer, type FakeEngine, json, startFakeEngine } from "./fake-engine.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function connectTo(answers: Record<string, Answer>): Promise<{ engine: Engine; fake: FakeEngine }> {
  const fake = await startFakeEngine(answers);
  open.push(fake);
  const engine = await connectEngine(fake.env);
  open.push(engine);
  return { engine, fake };
}

async function startTlsEngine(): Promise<{ folder: string; port: number }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name: "CN=localhost",
    keys,
    signingAlgorithm: algorithm,
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: "dns", value: "localhost" }])],
  });
  const key = x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  const server = createServer({ key, cert: certificate.toString("pem") }, (_request, response) => {
    response.end(JSON.stringify({ ApiVersion: "1.41", Version: "tls" }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const folder = mkdtempSync(join(tmpdir(), "dm-tls-"));
  writeFileSync(join(folder, "ca.pem"), certificate.toString("pem"));
  open.push({
    close: async () => {
      rmSync(folder, { recursive: true });
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
  const address = server.address();
  return { folder, port: typeof address === "object" && address !== null ? address.port : 0 };
}

describe("connectEngine", () => {
  test("asks in the negotiated version from then on", async () => {
    const { engine, fake } = await connectTo({ "/_ping": json("OK") });
    await engine.call({ method: "GET", path: "/_ping" });
    expect(engine).toMatchObject({ apiVersion: "1.41", engineVersion: "fake" });
    expect(fake.requests.map(({ pathname }) => pathname)).toEqual(["/version", "/v1.41/_ping"]);
  });

  test.each([
    ["a day ahead", 86_400_000, 86_400_000],
    ["a day behind", -86_400_000, -86_400_000],
    ["two seconds ahead, which may be the way of an answer", 2_000, 0],
  ])("knows the engine's clock when it is %s", async (_why, aheadMs, shownMs) => {
    const clock = { aheadMs: 0 };
    const tellTime: Answer = (response) => {
      response.setHeader("Date", new Date(Date.now() + clock.aheadMs).toUTCString());
      response.end("OK");
    };
    const { engine } = await connectTo({ "/_ping": tellTime });
    expect(Math.abs(engine.now() - Date.now())).toBeLessThan(100);
    clock.aheadMs = aheadMs;
    expect(Math.abs((await engine.readClock()) - Date.now() - shownMs)).toBeLessThan(1_500);
    clock.aheadMs = 0;
    expect(Math.abs((await engine.readClock()) - Date.now())).toBeLessThan(100);
  });

  test("an address where nothing is says so and how to go on", async () => {
    const problem = { code: "DM0101", message: expect.stringContaining("no such socket"), hint: /DOCKER_HOST/ };
    await expect(connectEngine({ DOCKER_HOST: "unix:///nowhere/docker.sock" })).rejects.toMatchObject({
      ...problem,
      hint: expect.stringMatching(problem.hint),
    });
  });

  test("an engine that is too old is told by its version", async () => {
    const fake = await startFakeEngine({ "/version": json({ ApiVersion: "1.24", Version: "1.12" }) });
    open.push(fake);
    await expect(connectEngine(fake.env)).rejects.toMatchObject({ code: "DM0103" });
  });

  test("over TLS, an engine is trusted by the certificate in DOCKER_CERT_PATH and not without", async () => {
    const { folder, port } = await startTlsEngine();
    const env = { DOCKER_HOST: `tcp://localhost:${port}`, DOCKER_TLS_VERIFY: "1" };
    await expect(connectEngine({ ...env, DOCKER_CONFIG: "/nowhere" })).rejects.toMatchObject({ code: "DM0101" });
    const engine = await connectEngine({ ...env, DOCKER_CERT_PATH: folder });
    open.push(engine);
    expect(engine.engineVersion).toBe("tls");
    // Without verification, as `docker --tls` does.
    const trusting = await connectEngine({ DOCKER_HOST: env.DOCKER_HOST, DOCKER_TLS: "1", DOCKER_CONFIG: "/nowhere" });
    open.push(trusting);
    expect(trusting.isLocal).toBe(false);
  });
});

describe("a call", () => {
  test("sends a query and a body and returns the JSON", async () => {
    const { engine, fake } = await connectTo({
      "/things": (response, _url, request) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => json({ got: Buffer.concat(chunks).toString() }, 201)(response, _url, request));
      },
    });
    const query = { all: true, filters: { label: ["a=b"] }, gone: undefined };
    const answer = await engine.call({ method: "POST", path: "/things", query, body: { x: 1 } });
    expect(answer).toEqual({ got: '{"x":1}' });
    const sent = fake.requests.at(-1)?.searchParams;
    expect(Object.fromEntries(sent ?? [])).toEqual({ all: "true", filters: '{"label":["a=b"]}' });
  });

  test("fails with Docker's own words and status", async () => {
    const { engine } = await connectTo({ "/x": json({ message: "No such container: x - at all" }, 404) });
    const error: unknown = await engine.call({ method: "GET", path: "/x" }).catch((reason: unknown) => reason);
    expect(isStatus(error, 404)).toBe(true);
    expect(String(error)).toContain("GET /x: No such container: x - at all");
  });

  test("ends at its time limit, also when the engine stops in the middle of its answer", async () => {
    const { engine } = await connectTo({
      "/silent": () => undefined,
      "/half": (response) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        response.write('{"a":');
      },
    });
    for (const path of ["/silent", "/half"]) {
      await expect(engine.call({ method: "GET", path, timeoutMs: 50 })).rejects.toMatchObject({ code: "ETIMEDOUT" });
    }
  });

  test("ends when the engine goes away in the middle of its answer", async () => {
    const { engine, fake } = await connectTo({
      "/half": (response) => {
        response.writeHead(200, { "Content-Type": "application/json" });
        response.write('{"a":', () => fake.cut());
      },
    });
    await expect(engine.call({ method: "GET", path: "/half", timeoutMs: 2000 })).rejects.toMatchObject({ status: 0 });
  });

  test("ends at once when its signal aborts", async () => {
    const { engine } = await connectTo({ "/silent": () => undefined });
    const abort = new AbortController();
    const call = engine.call({ method: "GET", path: "/silent", signal: abort.signal });
    abort.abort();
    await expect(call).rejects.toMatchObject({ code: "ABORT_ERR" });
  });

  test("an answer that says nothing is null, and one that is no JSON is its text", async () => {
    const { engine } = await connectTo({
      "/nothing": (response) => response.writeHead(204).end(),
      "/already": (response) => response.writeHead(304).end(),
      "/ping": (response) => response.end("OK"),
    });
    const answers = ["/nothing", "/already", "/ping"].map((path) => engine.call({ method: "POST", path }));
    expect(await Promise.all(answers)).toEqual([null, null, "OK"]);
  });

  test("a stream is handed over at its head, and a refused one fails with Docker's own words", async () => {
    const { engine } = await connectTo({
      "/events": (response) => response.write("first"),
      "/logs": json({ message: "no such container" }, 404),
    });
    const stream = await engine.stream({ method: "GET", path: "/events", timeoutMs: 2000 });
    const [chunk] = await once(stream, "data");
    expect(String(chunk)).toBe("first");
    stream.destroy();
    const refused = engine.stream({ method: "GET", path: "/logs" });
    await expect(refused).rejects.toMatchObject({ status: 404, message: "GET /logs: no such container" });
  });

  test("a connection that is not upgraded is an error, not a stream", async () => {
    const { engine } = await connectTo({ "/exec/1/start": json({ message: "no such exec" }, 404) });
    const call = engine.hijack({ method: "POST", path: "/exec/1/start", body: { Tty: false }, timeoutMs: 2000 });
    await expect(call).rejects.toMatchObject({ code: expect.anything() });
  });
});
