import { Writable } from "node:stream";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { AccessLog, type AccessLogEntry, formatAccess } from "../../../proxy/telemetry/access-log.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const entry: AccessLogEntry = {
  startMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6),
  method: "GET",
  path: "/charge?x=1",
  protocol: "HTTP/1.1",
  status: 503,
  flags: "UF",
  details: "upstream_reset_before_response_started{connection_failure}",
  bytesReceived: 1,
  bytesSent: 2,
  durationMs: 3.6,
  forwardedFor: "-",
  userAgent: "curl/8",
  requestId: "id",
  authority: "payment:8080",
  upstreamHost: "10.99.0.2",
  upstreamCluster: "outbound|8080|v1|payment.shop.svc.cluster.local",
  downstreamRemote: "172.20.0.3",
  routeName: "default",
  reason: "",
};

/** A reader that takes nothing until it is told to. */
function stalled() {
  const taken: string[] = [];
  const waiting: (() => void)[] = [];
  const out = new Writable({
    highWaterMark: 16,
    decodeStrings: false,
    write: (chunk: string, _encoding, done) => {
      taken.push(chunk);
      waiting.push(done);
    },
  });
  return { out, taken, take: () => waiting.shift()?.() };
}

test("a line has Envoy's default fields in their order", () => {
  expect(formatAccess(entry)).toBe(
    '[2026-01-02T03:04:05.006Z] "GET /charge?x=1 HTTP/1.1" 503 UF upstream_reset_before_response_started{connection_failure} - "-" ' +
      '1 2 4 - "-" "curl/8" "id" "payment:8080" "10.99.0.2" outbound|8080|v1|payment.shop.svc.cluster.local - - 172.20.0.3 - default',
  );
});

test("the plain reason is at the end", () => {
  expect(formatAccess({ ...entry, reason: "nobody is there" })).toMatch(/ default reason="nobody is there"$/);
});

test.each(["path", "userAgent", "forwardedFor", "requestId", "authority", "reason"] as const)(
  "what peers choose cannot forge a field or a line: %s",
  (field) => {
    const line = formatAccess({ ...entry, [field]: 'a" 200 -\r\n[forged] \\ \u00e9' });
    expect(line).toContain("a\\x22 200 -\\x0d\\x0a[forged] \\x5c \\xe9");
    expect(line).not.toMatch(/[\r\n]/);
  },
);

test("a line of the proxy's own stays one line", () => {
  const { out, taken } = stalled();
  const log = new AccessLog(out);
  log.line("closed: asked for a\r\nb\u0000");
  log.flush();
  expect(taken).toEqual(["closed: asked for a??b?\n"]);
});

test("lines are written together, 100 ms after the first", () => {
  const { out, taken } = stalled();
  const log = new AccessLog(out);
  log.line("one");
  vi.advanceTimersByTime(99);
  log.line("two");
  expect(taken).toEqual([]);
  vi.advanceTimersByTime(1);
  expect([taken, vi.getTimerCount()]).toEqual([["one\ntwo\n"], 0]);
});

test("a reader that takes nothing costs a bounded amount; what is dropped is counted, and the rest comes once it reads", () => {
  const { out, taken, take } = stalled();
  const log = new AccessLog(out);
  const line = "x".repeat(1024);
  for (let i = 0; i < 5000; i++) {
    log.line(line);
    if (i % 100 === 0) vi.advanceTimersByTime(100);
  }
  vi.advanceTimersByTime(100);
  expect(out.writableLength).toBeLessThan(300 * 1024);
  expect(taken.length).toBe(1);
  take();
  vi.advanceTimersByTime(0);
  return vi.waitFor(() => {
    expect(taken.length).toBe(2);
    const written = taken
      .join("")
      .split("\n")
      .filter((text) => text === line).length;
    expect(taken[1]).toContain(`[devmesh] ${5000 - written} log lines dropped`);
  });
});

test("a reader that is gone takes nobody down", async () => {
  const out = new Writable({ write: (_chunk, _encoding, done) => done(new Error("EPIPE")) });
  const log = new AccessLog(out);
  log.line("one");
  log.flush();
  const closed = log.close();
  await vi.advanceTimersByTimeAsync(1000);
  await closed;
  log.line("two");
  log.flush();
});

test("the last lines are out when it is closed; a reader that takes nothing holds up nobody", async () => {
  const { out, taken, take } = stalled();
  const log = new AccessLog(out);
  log.line("last");
  const closed = log.close();
  expect(taken).toEqual(["last\n"]);
  await vi.advanceTimersByTimeAsync(500);
  await closed;
  take();
});
