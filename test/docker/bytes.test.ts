// Every byte through the mesh and none past it: early dials, old pools, large transfers, half-closes, loops, dead services.
import { createHash } from "node:crypto";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { PoolStory } from "../support/apps/pool.ts";
import type { Heard } from "../support/apps/sink.ts";
import { pattern } from "../support/apps/streams-pattern.ts";
import type { Transfer, Transferred } from "../support/apps/transfer.ts";
import { eventually } from "../support/eventually.ts";
import { MeshProject } from "../support/mesh-project.ts";

const apps = path.resolve(import.meta.dirname, "../support/apps");
const tenMegabytes = 10 * 1024 * 1024;
const poolSize = 5;
const service = (name: string, app: string, more = ""): string => `
  ${name}:
    image: \${DEVMESH_SHOP_IMAGE}
    entrypoint: ["node"]
    command: ["/apps/${app}.ts"]
    environment: { NAME: ${name}, TARGETS: "sink:9000,peer:9000", SIZE: "${poolSize}" }
    expose: ["8080"]
    volumes: ["${apps}:/apps:ro"]
    stop_grace_period: 1s${more}`;
const checked = `
    healthcheck: { test: ["CMD", "true"], interval: 1s }`;

const state: { project: MeshProject | null; upAt: number } = { project: null, upAt: 0 };
const project = (): MeshProject => state.project ?? expect.unreachable("the project is not up");

beforeAll(async () => {
  state.project = new MeshProject({
    name: "bytes",
    compose: `services:${[
      service("sink", "sink"),
      service("peer", "sink"),
      service("old", "pool"),
      service("early", "pool"),
      service("early-checked", "pool", checked),
      service("caller", "echo"),
      service("callee", "streams", '\n    ports: ["8080", "9001"]'),
      service("gone", "echo"),
    ].join("")}\n`,
    mesh: `
name: bytes${process.pid}
mtls: strict
services:
  sink: { mesh: false }
  peer: { ports: [9000/tcp] }
  caller: { port: 8080 }
  callee: { ports: [8080/http, 9000/tcp, 2525/auto, 9001/http] }
  gone: { port: 8080 }
`,
  });
  // First without the mesh: the pool is then older than its rules.
  await project().compose("up", "-d", "sink", "peer", "old", "caller", "callee", "gone");
  await eventually(async () => expect((await heardBy("sink")).length).toBe(poolSize));
  await eventually(async () => expect((await heardBy("peer")).length).toBe(poolSize));
  await project().up("--no-compose");
  state.upAt = Date.now();
});

afterAll(async () => {
  await state.project?.close();
});

async function tell<T>(service: string): Promise<T> {
  const script = 'fetch("http://127.0.0.1:8090/").then(async (r) => console.log(await r.text()))';
  return JSON.parse(await project().evaluate(service, script)) as T;
}

const heardBy = (service: string) => tell<Heard[]>(service);
const storyOf = (service: string) => tell<PoolStory>(service);

/** Connections of an application that came to the sink without a proxy between, and spoke at `after` or later. */
async function unproxied(service: "sink" | "peer", caller: string, after: number): Promise<Heard[]> {
  const addresses = await addressesOf(caller);
  const heard = await heardBy(service);
  return heard.filter((one) => addresses.includes(one.from) && one.port === one.saidPort && one.lastSaidAt >= after);
}

async function addressesOf(service: string): Promise<string[]> {
  const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}";
  return (await project().docker("inspect", "-f", format, await project().container(service))).split(" ");
}

/** What the guard cut since its rules were loaded: packets by counter. */
async function guardCounters(service: string): Promise<Record<string, number>> {
  const command = ["exec", "-u", "0", await project().sidecar(service), "nft", "-j", "list", "counters"];
  const list = JSON.parse(await project().docker(...command)) as {
    nftables: { counter?: { name: string; packets: number } }[];
  };
  return Object.fromEntries(list.nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])));
}

async function readyStory(service: string): Promise<PoolStory & { readyAt: number }> {
  return await eventually(async () => {
    const story = await storyOf(service);
    const { readyAt } = story;
    if (readyAt === null) throw new Error(`the sidecar of ${service} is not ready`);
    return { ...story, readyAt };
  }, 20_000);
}

/** The whole pool speaks to both targets again, through the proxy. */
async function poolIsBack(service: string, readyAt: number): Promise<void> {
  const addresses = await addressesOf(service);
  await eventually(async () => {
    const viaProxy = (await heardBy("sink")).filter(
      (one) => addresses.includes(one.from) && one.port !== one.saidPort && one.lastSaidAt > readyAt + 500,
    );
    expect(viaProxy.length).toBe(poolSize);
  }, 20_000);
}

describe("no byte goes past the proxy once it is ready", () => {
  test("from a pool that is older than the mesh: its connections are reset and come back through the proxy", async () => {
    const { readyAt } = await readyStory("old");
    await poolIsBack("old", readyAt);
    const story = await storyOf("old");
    const older = story.broken.filter(({ openedAt }) => openedAt < readyAt);
    expect(older.filter(({ code }) => code === "ECONNRESET")).toHaveLength(older.length);
    expect(older.length).toBeGreaterThanOrEqual(2 * poolSize);
    expect(story.broken.filter(({ at }) => at > state.upAt)).toEqual([]);
    // The control: before, they were not proxied, and both ends knew.
    for (const target of ["sink", "peer"] as const) {
      expect(await unproxied(target, "old", 0)).toHaveLength(poolSize);
      expect(await unproxied(target, "old", readyAt)).toEqual([]);
    }
    const cutAfterMs = Math.max(...older.map(({ at }) => at)) - readyAt;
    const guard = await guardCounters("old");
    expect(guard.guard_out_tcp).toBeGreaterThan(0);
    console.log(
      `old pool: ${older.length} connections reset, the last ${cutAfterMs} ms after ready; guard ${JSON.stringify(guard)}`,
    );
  });

  test.each([
    ["is held until its sidecar is ready", "early"],
    ["has a health check and so is not held", "early-checked"],
  ])("from an application that dials in its first millisecond and %s", async (_why, name) => {
    await project().compose("up", "-d", name);
    const { readyAt, startedAt } = await readyStory(name);
    await poolIsBack(name, readyAt);
    expect(await unproxied("sink", name, readyAt)).toEqual([]);
    expect(await unproxied("peer", name, readyAt)).toEqual([]);
    const before = (await unproxied("sink", name, 0)).reduce((sum, { lines }) => sum + lines, 0);
    const toPeer = (await unproxied("peer", name, 0)).reduce((sum, { lines }) => sum + lines, 0);
    // mTLS is strict: what went out too early was refused by the other end.
    expect(toPeer).toBe(0);
    const story = await storyOf(name);
    console.log(
      `${name}: ready ${readyAt - startedAt} ms after its first instruction, ${before} lines past the mesh before, ` +
        `${story.broken.length} connections broken, failed ${JSON.stringify(story.failed)}`,
    );
  });
});

async function transfer(options: Omit<Transfer, "host">): Promise<Transferred> {
  const command = ["exec", await project().container("caller"), "node", "/apps/transfer.ts"];
  return JSON.parse(await project().docker(...command, JSON.stringify({ host: "callee", ...options })));
}

async function hashOfPattern(bytes: number): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of pattern(bytes)) hash.update(chunk as Buffer);
  return `${bytes} ${hash.digest("hex")}`;
}

describe("10 MB through two sidecars arrive whole", () => {
  test.each([
    ["towards the callee, which answers while both sides are open", "count", "", true],
    ["towards the callee, by an end that leaves the answer to come", "drain", "", true],
    ["from the callee, which ends after its last byte", "send", "whole", false],
    ["both ways at once, each to its own end", "both", "whole", true],
  ] as const)("%s", async (_why, mode, received, isAnswered) => {
    const sum = await hashOfPattern(tenMegabytes);
    const result = await transfer({ port: 9000, mode, bytes: tenMegabytes });
    expect(result).toMatchObject({ error: "", answer: isAnswered ? sum : "" });
    if (received === "whole") expect(result.received).toBe(sum);
    console.log(`10 MB ${mode}: ${result.ms} ms`);
  });

  test("as an HTTP request and as an HTTP response, of known and of unknown length", async () => {
    const script = `
      const crypto = require("crypto");
      const body = Buffer.alloc(${tenMegabytes}, "devmesh ");
      const sum = crypto.createHash("sha256").update(body).digest("hex");
      (async () => {
        const post = async (body) => (await fetch("http://callee:8080/", { method: "POST", body, duplex: "half" })).json();
        const sized = await post(body);
        const chunked = await post(new Blob([body]).stream());
        const big = await (await fetch("http://callee:8080/?bytes=${tenMegabytes}")).json();
        console.log(JSON.stringify({ sum, sized: sized.sha256, chunked: chunked.sha256, length: sized.headers["content-length"] ?? null,
          coding: chunked.headers["transfer-encoding"] ?? null, pad: big.pad.length, isPad: /^x+$/.test(big.pad) }));
      })();`;
    const got = JSON.parse(await project().evaluate("caller", script));
    expect(got).toEqual({
      sum: got.sum,
      sized: got.sum,
      chunked: got.sum,
      length: String(tenMegabytes),
      coding: "chunked",
      pad: tenMegabytes,
      isPad: true,
    });
  });
});

async function connectOutcome(service: string, host: string, port: number, say = ""): Promise<string> {
  const script = `
    const s = require("net").connect({ host: ${JSON.stringify(host)}, port: ${port} });
    const started = Date.now();
    const done = (what) => { console.log(JSON.stringify({ what, ms: Date.now() - started })); process.exit(0); };
    s.on("connect", () => ${say === "" ? "undefined" : `s.write(${JSON.stringify(say)})`});
    s.on("data", (d) => done(d.toString().trim().split("\\r\\n")[0])).on("error", (e) => done(e.code)).on("end", () => done("ended"));
    setTimeout(() => done("silence"), 3000);`;
  return await project().evaluate(service, script);
}

describe("the end of a connection reaches the other side as what it was", () => {
  test("a reset by the callee is a reset to the caller", async () => {
    const { what } = JSON.parse(await connectOutcome("caller", "callee", 9000, "abort\n"));
    expect(what).toBe("ECONNRESET");
  });

  test.each([
    ["a reset", "resetAndDestroy", "ECONNRESET"],
    ["an end", "end", "end"],
  ])("%s by the caller", async (_why, end, seen) => {
    const script = `const s = require("net").connect(9000, "callee").on("error", () => undefined);
      s.on("close", () => console.log("closed")).once("data", () => s.${end}()).write("wait\\n");`;
    expect(await project().evaluate("caller", script)).toBe("closed");
    await eventually(async () => {
      expect(JSON.parse(await connectOutcome("caller", "callee", 9000, "seen\n")).what).toBe(seen);
    });
  });
});

describe("a port that is bound to loopback", () => {
  const request = "GET / HTTP/1.0\r\n\r\n";

  test("stays unreachable by the service's name, by the container's address and through a published port", async () => {
    expect(JSON.parse(await connectOutcome("callee", "127.0.0.1", 9001, request)).what).toBe("HTTP/1.1 200 OK");
    const [address = ""] = await addressesOf("callee");
    for (const host of ["callee", address]) {
      const { what } = JSON.parse(await connectOutcome("caller", host, 9001, request));
      expect(what).toMatch(/^(HTTP\/1\.1 503 |ECONNRESET|ended)/);
    }
    const published = /:(\d+)$/m.exec(
      await project().docker("port", await project().container("callee"), "9001/tcp"),
    )?.[1];
    const answer = await fetch(`http://127.0.0.1:${published}/`).then(
      (r) => r.status,
      () => 0,
    );
    expect([0, 503]).toContain(answer);
  });
});

test("a server that speaks first is heard through two sidecars without a word from the client", async () => {
  const { what, ms } = JSON.parse(await connectOutcome("caller", "callee", 2525));
  expect(what).toBe("220 ready");
  expect(ms).toBeLessThan(3 * 500);
  console.log(`server-first on a port of unknown protocol: greeted after ${ms} ms`);
});

test("a service whose every container is stopped still resolves, and gives 503 with UH and the reason", async () => {
  await project().docker("stop", "-t", "0", await project().container("gone"));
  const script = `require("dns").lookup("gone", (error, address) => fetch("http://gone:8080/").then(async (r) =>
    console.log(JSON.stringify({ address, status: r.status, flags: r.headers.get("x-devmesh-response-flags"), reason: r.headers.get("x-devmesh-reason") }))))`;
  const { services } = await project().status();
  const { address } = services.find(({ name }) => name === "gone") ?? { address: "" };
  await eventually(async () => {
    expect(JSON.parse(await project().evaluate("caller", script))).toEqual({
      address,
      status: 503,
      flags: "UH",
      reason: "gone has no running, ready container",
    });
  });
});

describe("1,000 connects to each of the proxy's own ports", () => {
  /** Sees the sidecar's processes as no other container can. */
  async function descriptors(sidecar: string): Promise<number> {
    const rights = ["--user", "0:0", "--cap-add", "SYS_PTRACE", "--pid", `container:${sidecar}`];
    const image = project().env.DEVMESH_SHOP_IMAGE ?? "";
    const script = "console.log(require('fs').readdirSync('/proc/1/fd').length)";
    return Number(await project().docker("run", "--rm", ...rights, "--entrypoint", "node", image, "-e", script));
  }

  test.each([
    ["from inside, over loopback", "callee", () => Promise.resolve("127.0.0.1")],
    ["from inside, over the container's own address", "callee", async () => (await addressesOf("callee"))[0] ?? ""],
    ["from a neighbour in the mesh", "caller", async () => (await addressesOf("callee"))[0] ?? ""],
    ["from a neighbour outside the mesh", "sink", async () => (await addressesOf("callee"))[0] ?? ""],
  ])("%s leave its descriptors flat", async (_why, from, findHost) => {
    const sidecar = await project().sidecar("callee");
    const host = await findHost();
    const before = await descriptors(sidecar);
    const script = `
      const net = require("net");
      const ports = [15001, 15006, 15008, 15020, 15053];
      const dial = (port) => new Promise((resolve) => {
        const s = net.connect({ host: ${JSON.stringify(host)}, port });
        const timer = setTimeout(() => s.destroy(), 100);
        s.on("error", () => undefined).on("close", () => { clearTimeout(timer); resolve(); });
      });
      (async () => {
        for (const port of ports) {
          for (let i = 0; i < 4; i++) await Promise.all(Array.from({ length: 250 }, () => dial(port)));
        }
        console.log("done");
      })();`;
    expect(await project().evaluate(from, script)).toBe("done");
    await eventually(async () => expect(await descriptors(sidecar)).toBeLessThanOrEqual(before + 5), 40_000, 1000);
    await eventually(async () => {
      const got = JSON.parse(await connectOutcome("caller", "callee", 8080, "GET / HTTP/1.0\r\n\r\n"));
      expect(got.what).toMatch(/^HTTP\/1\.[01] 200/);
    }, 20_000);
    console.log(`descriptors of the sidecar ${_why}: ${before} before, ${await descriptors(sidecar)} after`);
  });
});
