// What can be seen of requests: counts that equal the load, a line each, one id and one trace through every service.
import { createHash, randomBytes } from "node:crypto";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { MeshProject } from "../support/mesh-project.ts";
import { createMeshShop, type MeshShop } from "../support/mesh-shop.ts";
import { parseMetrics, type Sample, sumOf } from "../support/prometheus.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
const checkouts = 300;
const strangers = 20;
const denied = 5;
const state: { shop: MeshShop | null } = { shop: null };
const shop = (): MeshShop => state.shop ?? expect.unreachable("the shop is not up");
const project = (): MeshProject => shop().project;

/** Payment answers with what it was sent, so that the last service's view of a request comes back through all of them. */
const echoingPayment = (compose: string): string =>
  compose
    .replaceAll('command: ["payment/main.ts"]', `command: ["/apps/echo.ts"]\n    volumes: ["${apps}:/apps:ro"]`)
    .replaceAll("environment: { VERSION:", "environment: { NAME:");

interface Echoed {
  readonly name: string;
  readonly headers: Readonly<Record<string, string>>;
}

async function checkout(headers: Readonly<Record<string, string>> = {}): Promise<Echoed> {
  const response = await fetch(`${shop().url}/api/checkout`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ items: [{ product: "mug", quantity: 1 }] }),
  });
  expect(response.status).toBe(200);
  return (await response.json()) as Echoed;
}

async function metrics(): Promise<Sample[]> {
  const { code, stdout, stderr } = await project().cli("metrics");
  if (code !== 0) throw new Error(stderr);
  return parseMetrics(stdout);
}

/** What all proxies of a service have logged. */
async function accessLog(...services: readonly string[]): Promise<string[]> {
  const ids = await Promise.all(services.map((service) => project().sidecar(service)));
  return (await Promise.all(ids.map((id) => project().docker("logs", id)))).flatMap((text) => text.split("\n"));
}

async function gatewayLog(): Promise<string[]> {
  const filters = [`label=dev.devmesh.project=${project().name}`, "label=dev.devmesh.kind=gateway"];
  const id = await project().docker("ps", "-q", ...filters.flatMap((filter) => ["--filter", filter]));
  return (await project().docker("logs", id)).split("\n");
}

const requests = "istio_requests_total";
const duration = "istio_request_duration_milliseconds";

beforeAll(async () => {
  state.shop = await createMeshShop({ name: "see", compose: echoingPayment });
  await project().up();
});
afterAll(() => state.shop?.project.close());

describe("after a known load", () => {
  beforeAll(async () => {
    let left = checkouts;
    const customer = async () => {
      while (left-- > 0) await checkout();
    };
    await Promise.all(Array.from({ length: 8 }, customer));
    for (let i = 0; i < strangers; i++) expect((await fetch(`${shop().url}/nothing`)).status).toBe(404);
    const script = `(async () => { const seen = []; for (let i = 0; i < ${denied}; i++)
      seen.push((await fetch("http://payment:8080/charge", { method: "POST" })).status); console.log(seen.join()); })()`;
    expect(await project().evaluate("website", script)).toBe(new Array(denied).fill(403).join());
    const cart = `${shop().url}/api/cart/items`;
    const body = JSON.stringify({ product: "mug", quantity: 1 });
    await fetch(cart, { method: "POST", headers: { "content-type": "application/json" }, body });
  });

  const edges: [string, Record<string, string>, number][] = [
    ["gateway to website, found", { destination_app: "website", response_code: "200" }, checkouts + 1],
    ["gateway to website, not found", { destination_app: "website", response_code: "404" }, strangers],
    ["website to cart", { source_app: "website", destination_app: "cart", response_code: "200" }, checkouts + 1],
    [
      "cart to payment v1",
      { source_app: "cart", destination_app: "payment", destination_version: "v1", response_code: "200" },
      checkouts * 0.9,
    ],
    [
      "cart to payment v2",
      { source_app: "cart", destination_app: "payment", destination_version: "v2", response_code: "200" },
      checkouts * 0.1,
    ],
    ["website to payment, denied", { source_app: "website", destination_app: "payment", response_code: "403" }, denied],
  ];
  const reporters = ["source", "destination"];

  test.each(edges)("/metrics counts %s exactly, as both ends report it", async (_edge, labels, expected) => {
    await eventually(async () => {
      const samples = await metrics();
      const counted = reporters.map((reporter) => sumOf(samples, requests, { ...labels, reporter }));
      const observed = reporters.map((reporter) => sumOf(samples, `${duration}_count`, { ...labels, reporter }));
      const buckets = reporters.map((reporter) =>
        sumOf(samples, `${duration}_bucket`, { ...labels, reporter, le: "+Inf" }),
      );
      expect({ counted, observed, buckets }).toEqual({
        counted: [expected, expected],
        observed: [expected, expected],
        buckets: [expected, expected],
      });
    });
  });

  test("histograms grow from bucket to bucket, and their sums are times", async () => {
    const samples = await metrics();
    const labels = { reporter: "source", destination_app: "payment", destination_version: "v1", response_code: "200" };
    const buckets = samples
      .filter(
        ({ name, labels: has }) =>
          name === `${duration}_bucket` && Object.entries(labels).every(([k, v]) => has[k] === v),
      )
      .map(({ labels: { le }, value }) => [le === "+Inf" ? Number.POSITIVE_INFINITY : Number(le), value] as const)
      .sort(([a], [b]) => a - b);
    expect(buckets.length).toBeGreaterThan(10);
    buckets.reduce((before, [, value]) => {
      expect(value).toBeGreaterThanOrEqual(before);
      return value;
    }, 0);
    const mean = sumOf(samples, `${duration}_sum`, labels) / (checkouts * 0.9);
    expect(mean).toBeGreaterThan(0);
    expect(mean).toBeLessThan(1_000);
  });

  test("identities, mTLS and flags are labels of both", async () => {
    const samples = await metrics();
    const mesh = (await project().status()).mesh;
    const identity = (service: string) => `spiffe://cluster.local/ns/${mesh}/sa/${service}`;
    const edge = { source_principal: identity("cart"), destination_principal: identity("payment") };
    const received = {
      ...edge,
      reporter: "destination",
      connection_security_policy: "mutual_tls",
      response_flags: "-",
    };
    expect(sumOf(samples, requests, received)).toBe(checkouts);
    expect(sumOf(samples, requests, { reporter: "destination", connection_security_policy: "none" })).toBe(0);
    const name = { destination_service: `payment.${mesh}.svc.cluster.local`, destination_service_name: "payment" };
    expect(sumOf(samples, requests, { ...name, reporter: "source", response_code: "200" })).toBe(checkouts);
  });

  test("the connection to Redis is counted as TCP, with its bytes", async () => {
    await eventually(async () => {
      const samples = await metrics();
      const edge = { source_app: "cart", destination_app: "redis", request_protocol: "tcp" };
      for (const reporter of reporters) {
        expect(sumOf(samples, "istio_tcp_connections_opened_total", { ...edge, reporter })).toBeGreaterThanOrEqual(1);
        expect(sumOf(samples, "istio_tcp_received_bytes_total", { ...edge, reporter })).toBeGreaterThan(20);
        expect(sumOf(samples, "istio_tcp_sent_bytes_total", { ...edge, reporter })).toBeGreaterThan(2);
      }
    });
  });

  test("each proxy has logged one line per request", async () => {
    const count = (lines: readonly string[], form: RegExp) => lines.filter((line) => form.test(line)).length;
    await eventually(async () => {
      expect(count(await gatewayLog(), /"POST \/api\/checkout HTTP\/1\.1" 200 /)).toBe(checkouts);
      expect(count(await gatewayLog(), /"GET \/nothing HTTP\/1\.1" 404 /)).toBe(strangers);
      const payment = await accessLog("payment-v1", "payment-v2");
      expect(count(payment, /"POST \/charge HTTP\/1\.1" 200 - /)).toBe(checkouts);
      expect(count(payment, /"POST \/charge HTTP\/1\.1" 403 .*reason="/)).toBe(denied);
      // What came in from the website, and what went out to payment.
      const cart = await accessLog("cart");
      expect(count(cart, /"POST \/checkout HTTP\/1\.1" 200 - /)).toBe(checkouts);
      expect(count(cart, /"POST \/charge HTTP\/1\.1" 200 - .*outbound\|8080\|v[12]\|payment\./)).toBe(checkouts);
    });
  });

  test("a new daemon goes on with the same numbers, and with what came meanwhile", async () => {
    const labels = { source_app: "cart", destination_app: "payment", response_code: "200", reporter: "source" };
    const { pid } = await project().status();
    process.kill(pid, "SIGKILL");
    for (let i = 0; i < 20; i++) await checkout();
    await eventually(async () => expect(sumOf(await metrics(), requests, labels)).toBe(checkouts + 20));
    expect((await project().status()).pid).not.toBe(pid);
  });
});

describe("one request", () => {
  test("keeps its x-request-id from the gateway to payment, and every proxy on its way logs it", async () => {
    const id = `trace-${randomBytes(6).toString("hex")}`;
    const { name, headers } = await checkout({ "x-request-id": id });
    expect(headers["x-request-id"]).toBe(id);
    await eventually(async () => {
      const logs = [
        await gatewayLog(),
        await accessLog("website"),
        await accessLog("cart"),
        await accessLog(`payment-${name}`),
      ];
      const seen = logs.map((lines) => lines.filter((line) => line.includes(`"${id}"`)).length);
      // The two in the middle see it come in and go out.
      expect(seen).toEqual([1, 2, 2, 1]);
    });
  });

  test("continues the caller's W3C trace: the trace's id and flags stay, the parent is each hop's own", async () => {
    const trace = createHash("sha256").update("devmesh").digest("hex").slice(0, 32);
    const { headers } = await checkout({ traceparent: `00-${trace}-00f067aa0ba902b7-00`, tracestate: "vendor=1" });
    expect(headers.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-00$`));
    expect(headers.traceparent).not.toContain("00f067aa0ba902b7");
    expect(headers.tracestate).toBe("vendor=1");
  });

  test("without any of it gets a new id and a new trace", async () => {
    const [one, two] = [await checkout(), await checkout()];
    for (const { headers } of [one, two]) {
      expect(headers["x-request-id"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(headers.traceparent).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    }
    expect(one.headers["x-request-id"]).not.toBe(two.headers["x-request-id"]);
    expect(one.headers.traceparent?.slice(3, 35)).not.toBe(two.headers.traceparent?.slice(3, 35));
  });

  test("with a broken traceparent starts a new trace, and its tracestate is dropped", async () => {
    const { headers } = await checkout({
      traceparent: `00-${"0".repeat(32)}-00f067aa0ba902b7-01`,
      tracestate: "vendor=1",
    });
    expect(headers.traceparent).toMatch(/^00-(?!0{32})[0-9a-f]{32}-[0-9a-f]{16}-01$/);
    expect(headers.tracestate).toBeUndefined();
  });
});
