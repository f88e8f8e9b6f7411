import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { failure } from "../../../proxy/http/failure.ts";
import {
  defaultRetry,
  gone,
  lost,
  refused,
  type Setting,
  type SettingOptions,
  startExchange,
  violationsOf,
} from "./scripted.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const upload = { method: "POST", bodyLength: -1 };
const [recorded] = [({ counters }: Setting) => counters.report().http];
const flagsOf = (setting: Setting) => recorded(setting).map(({ flags, status }) => `${status} ${flags}`);

test("a request and its response go through, and leave nothing behind", () => {
  const setting = startExchange({ head: upload });
  const { client, a } = setting;
  client.send("one ");
  client.send("two");
  client.finish();
  expect([a.last.body, a.last.isEnded]).toEqual(["one two", true]);
  a.last.respond(200);
  a.last.send("answer");
  a.last.finish();
  expect([client.status, client.body, client.isEnded]).toEqual([200, "answer", true]);
  expect([a.active, a.ends, flagsOf(setting)]).toEqual([0, [null], ["200 -"]]);
  expect(vi.getTimerCount()).toBe(1); // The log's.
  expect(violationsOf(setting)).toEqual([]);
});

describe("back-pressure", () => {
  test("an upstream without room stops the client until it has some", () => {
    const { client, a } = startExchange({ head: upload });
    a.last.hasRoom = false;
    client.send("x");
    expect(client.isPaused).toBe(true);
    a.last.drain();
    expect(client.isPaused).toBe(false);
  });

  test("a client without room stops the upstream until it has some", () => {
    const { client, a } = startExchange();
    a.last.respond(200);
    client.hasRoom = false;
    a.last.send("x");
    expect(a.last.isPaused).toBe(true);
    client.drain();
    expect(a.last.isPaused).toBe(false);
  });

  test("a try that has no room for what is sent again leaves the client stopped", () => {
    const { client, a, b } = startExchange({ head: upload });
    client.send("x");
    b.hasRoom = false;
    a.last.fail(refused);
    expect([b.last.body, client.isPaused]).toEqual(["x", true]);
    b.last.drain();
    expect(client.isPaused).toBe(false);
  });
});

describe("retries", () => {
  test("what nobody processed goes to another endpoint at once, whole", () => {
    const setting = startExchange({ head: upload });
    const { client, a, b } = setting;
    client.send("one ");
    a.last.fail(refused);
    client.send("two");
    client.finish();
    expect([b.last.body, b.last.isEnded]).toEqual(["one two", true]);
    b.last.respond(200);
    b.last.finish();
    expect(recorded(setting)).toMatchObject([{ status: 200, flags: "-", retries: 1, destinationWorkload: "b" }]);
  });

  test("what may have been processed is not sent again", () => {
    const { client, a, b } = startExchange();
    a.last.fail(lost);
    expect([client.status, b.tries.length]).toEqual([503, 0]);
  });

  test("the same endpoint is tried again after a pause, also when another was tried between", () => {
    const { client, a, b } = startExchange();
    a.last.fail(refused);
    b.last.fail(refused);
    expect(a.tries.length).toBe(1);
    vi.advanceTimersByTime(250);
    expect(a.tries.length).toBe(2);
    a.last.fail(refused);
    expect(client.status).toBe(503);
  });

  test("what the client sends in the pause is not lost", () => {
    const { client, a } = startExchange({ head: upload, count: 1 });
    a.last.fail(refused);
    client.send("x".repeat(100_000));
    expect(client.isPaused).toBe(true);
    vi.advanceTimersByTime(250);
    client.send("y");
    client.finish();
    expect(a.last.body).toBe(`${"x".repeat(100_000)}y`);
  });

  test("the pause ends with the exchange", () => {
    const { client, a, counters } = startExchange({ count: 1 });
    a.last.fail(refused);
    client.leave();
    expect(vi.getTimerCount()).toBe(1);
    expect(counters.report().http).toMatchObject([{ status: 0, flags: "DC" }]);
  });

  test("a body that is too long to be kept is sent once", () => {
    const { client, a, b } = startExchange({ head: upload });
    client.send("x".repeat(65_537));
    a.last.fail(refused);
    expect([client.status, b.tries.length]).toEqual([503, 0]);
  });

  test("a body of too many small pieces is sent once", () => {
    const { client, a, b } = startExchange({ head: upload });
    for (let i = 0; i < 2000; i++) client.send("x");
    expect(a.last.body.length).toBe(2000);
    a.last.fail(refused);
    expect([client.status, b.tries.length]).toEqual([503, 0]);
  });

  test("a status that the route retries is not shown, the last one is, under URX", () => {
    const retry = { ...defaultRetry, attempts: 1, on: ["5xx"] as const };
    const setting = startExchange({ routing: { retry } });
    const { client, a, b } = setting;
    a.last.respond(503);
    expect([client.status, a.last.cut?.flag]).toEqual([0, "LR"]);
    b.last.respond(500);
    b.last.send("no");
    b.last.finish();
    expect([client.status, client.body, flagsOf(setting)]).toEqual([500, "no", ["500 URX"]]);
  });

  test("a status that would be retried is passed on where there is nobody left to ask", () => {
    const setting = startExchange({ routing: { retry: { ...defaultRetry, on: ["5xx"] } }, count: 1 });
    setting.targets = [];
    setting.a.last.respond(503);
    setting.a.last.finish();
    expect([setting.client.status, setting.client.isEnded, setting.client.response?.fields.list]).toEqual([
      503,
      true,
      [],
    ]);
  });

  test("after an informational response nothing is sent again: what answers has begun", () => {
    const retry = { ...defaultRetry, on: ["5xx", "reset"] as const };
    const { client, a, b } = startExchange({ head: { ...upload, expectsContinue: true }, routing: { retry } });
    a.last.inform(100);
    expect(client.informed).toEqual([100]);
    a.last.fail(lost);
    expect([client.status, b.tries.length]).toEqual([503, 0]);
  });

  test("URX says that retries are used up, not that there was one", () => {
    const setting = startExchange();
    setting.a.last.fail(refused);
    setting.b.last.fail(lost);
    expect(flagsOf(setting)).toEqual(["503 UC"]);
    const used = startExchange({ routing: { retry: { ...defaultRetry, attempts: 1, on: ["reset"] } } });
    used.a.last.fail(lost);
    used.b.last.fail(lost);
    expect(flagsOf(used)).toEqual(["503 URX"]);
    expect(used.lines.join()).toContain("lost (2 tries)");
  });

  test("a try that does not begin to answer in time is cut; the route decides about another", () => {
    const retry = { ...defaultRetry, perTryTimeoutMs: 100, on: ["5xx"] as const };
    const { client, a, b } = startExchange({ routing: { retry } });
    vi.advanceTimersByTime(100);
    expect(a.last.cut?.flag).toBe("UT");
    b.last.respond(200);
    vi.advanceTimersByTime(1000);
    b.last.finish();
    expect([client.status, client.isEnded]).toEqual([200, true]);
  });
});

describe("waiting for an endpoint", () => {
  const waiting = (options: SettingOptions = {}) =>
    startExchange({ head: upload, routing: { waitMs: 1000 }, count: 0, ...options });

  test("what the client sends meanwhile is kept as far as it may be, and none of it is lost", () => {
    const setting = waiting();
    const { client, a } = setting;
    client.send("x".repeat(60_000));
    expect(client.isPaused).toBe(false);
    client.send("y".repeat(60_000));
    expect(client.isPaused).toBe(true);
    setting.targets = [a];
    setting.changed();
    expect([a.last.body.length, client.isPaused]).toEqual([120_000, false]);
    client.send("z");
    client.finish();
    expect(a.last.body).toBe(`${"x".repeat(60_000)}${"y".repeat(60_000)}z`);
  });

  test("the client is heard: one that goes away ends it", () => {
    const setting = waiting();
    expect(setting.client.isPaused).toBe(false);
    setting.client.leave();
    expect([setting.listeners.size, vi.getTimerCount(), flagsOf(setting)]).toEqual([0, 1, ["0 DC"]]);
  });

  test("it ends with UH at the service's time, which does not start again", () => {
    const setting = waiting();
    const { client, a } = setting;
    vi.advanceTimersByTime(500);
    setting.targets = [a];
    setting.changed();
    a.last.fail(refused);
    setting.targets = [];
    vi.advanceTimersByTime(499);
    expect(client.status).toBe(0);
    vi.advanceTimersByTime(1);
    expect([client.status, flagsOf(setting)]).toEqual([503, ["503 UH"]]);
    expect(setting.listeners.size).toBe(0);
  });

  test("an endpoint that refuses is tried until one takes it", () => {
    const setting = waiting({ count: 1 });
    const { client, a } = setting;
    client.send("body");
    client.finish();
    for (let i = 0; i < 3; i++) {
      a.last.fail(refused);
      vi.advanceTimersByTime(250);
    }
    expect([a.tries.length, a.last.body, a.last.isEnded]).toEqual([4, "body", true]);
    a.last.respond(200);
    a.last.finish();
    expect([client.status, vi.getTimerCount()]).toEqual([200, 1]);
  });

  test("what may have been processed does not wait", () => {
    const retry = { ...defaultRetry, attempts: 1, on: ["reset"] as const };
    const { client, a, b, listeners } = startExchange({ routing: { waitMs: 1000, retry } });
    a.last.fail(lost);
    b.last.fail(refused);
    expect([client.status, listeners.size]).toEqual([503, 0]);
  });

  test("the route's timeout holds while it waits", () => {
    const setting = startExchange({ routing: { waitMs: 1000, timeoutMs: 100 }, count: 0 });
    vi.advanceTimersByTime(100);
    expect([setting.client.status, flagsOf(setting)]).toEqual([504, ["504 UT"]]);
    expect(setting.lines.join()).toContain(" upstream_response_timeout ");
  });

  test("an upgrade waits as well", () => {
    const setting = startExchange({ head: { upgrade: "websocket" }, routing: { waitMs: 1000 }, count: 0 });
    const { client, a } = setting;
    setting.targets = [a];
    setting.changed();
    a.last.respond(101);
    client.send("ping");
    a.last.send("pong");
    expect([client.status, a.last.body, client.body]).toEqual([101, "ping", "pong"]);
  });
});

describe("ends", () => {
  test.each<[string, number, string]>([
    ["400", 400, "DPE"],
    ["408", 408, "DT"],
  ])("a client that broke the protocol is recorded with the %s that it was answered", (_why, status, flag) => {
    const setting = startExchange({ head: upload });
    setting.client.leave(failure(flag as "DPE", status, "x", "bad"));
    expect(flagsOf(setting)).toEqual([`${status} ${flag}`]);
  });

  test("a client that leaves cancels its try", () => {
    const { client, a } = startExchange();
    client.leave();
    expect([a.last.cut?.flag, a.ends]).toEqual(["DC", [gone]]);
  });

  test("a response that was begun and is lost is cut, never ended", () => {
    const setting = startExchange();
    setting.a.last.respond(200);
    setting.a.last.send("half");
    setting.a.last.fail(lost);
    expect([setting.client.cut?.flag, setting.client.isEnded, flagsOf(setting)]).toEqual(["UC", false, ["200 UC"]]);
  });

  test("an early response ends the exchange, and the rest of the request is nobody's", () => {
    const setting = startExchange({ head: upload });
    setting.client.send("half");
    setting.a.last.respond(413);
    setting.a.last.finish();
    expect([setting.client.isEnded, setting.a.active, flagsOf(setting)]).toEqual([true, 0, ["413 -"]]);
    expect(violationsOf(setting)).toEqual([]);
  });

  test("the deadline covers a response that does not end, and no upgraded connection", () => {
    const slow = startExchange({ routing: { timeoutMs: 100 } });
    slow.a.last.respond(200);
    vi.advanceTimersByTime(100);
    expect(slow.client.cut?.flag).toBe("UT");
    const upgraded = startExchange({ head: { upgrade: "websocket" }, routing: { timeoutMs: 100 } });
    upgraded.a.last.respond(101);
    vi.advanceTimersByTime(1000);
    expect(upgraded.client.cut).toBe(null);
    upgraded.client.finish();
    expect(upgraded.a.active).toBe(1);
    upgraded.a.last.finish();
    expect([upgraded.a.active, flagsOf(upgraded)]).toEqual([0, ["101 -"]]);
  });

  test("between proxies, what nobody processed is refused, so that the caller may go elsewhere; else it is answered", () => {
    const once = { ...defaultRetry, attempts: 0 };
    const one = startExchange({ isPeer: true, routing: { retry: once } });
    one.a.last.fail(refused);
    expect([one.client.refusal?.flag, one.client.status]).toEqual(["UF", 0]);
    const other = startExchange({ isPeer: true, routing: { retry: once } });
    other.a.last.fail(lost);
    expect([other.client.refusal, other.client.status]).toEqual([null, 503]);
    const third = startExchange({ isPeer: true, routing: { retry: { ...once, attempts: 1, on: ["reset"] } } });
    third.a.last.fail(lost);
    third.b.last.fail(refused);
    expect([third.client.refusal, third.client.status]).toEqual([null, 503]);
  });

  test("a reply of the proxy's own to HEAD counts no bytes: none are sent", () => {
    const setting = startExchange({ head: { method: "HEAD" }, count: 0 });
    expect(recorded(setting)).toMatchObject([{ status: 503, responseBytes: 0 }]);
  });
});

// Whatever happens in whatever order: one end, one record, nothing left, no breach of the contract.
const step = fc.oneof(
  fc.record({ kind: fc.constant("send" as const), bytes: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({
    kind: fc.constantFrom(
      "finish" as const,
      "leave" as const,
      "client-room" as const,
      "room" as const,
      "inform" as const,
      "answer" as const,
      "end" as const,
      "refuse" as const,
      "lose" as const,
      "none" as const,
      "both" as const,
      "full" as const,
    ),
  }),
  fc.record({ kind: fc.constant("respond" as const), status: fc.constantFrom(101, 200, 404, 502, 503) }),
  fc.record({ kind: fc.constant("time" as const), ms: fc.integer({ min: 1, max: 400 }) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function play(setting: Setting, one: Step, sent: { text: string }): void {
  const { client, a, b } = setting;
  const open = [...a.tries, ...b.tries].filter(({ isOver }) => !isOver);
  const [current] = open;
  expect(open.length).toBeLessThanOrEqual(1);
  switch (one.kind) {
    case "send": {
      if (client.isPaused || client.head.bodyLength === 0) return;
      const text = String.fromCharCode(97 + (sent.text.length % 26)).repeat(one.bytes);
      if (!client.isOver) sent.text += text;
      client.send(text);
      return;
    }
    case "finish":
      if (client.head.bodyLength !== 0 && !client.isPaused) client.finish();
      return;
    case "leave":
      client.leave();
      return;
    case "client-room":
      client.drain();
      return;
    case "room":
      current?.drain();
      return;
    case "inform":
      if (client.status === 0) current?.inform(103);
      return;
    case "answer":
      if (client.status !== 0) current?.send("z");
      return;
    case "end":
      if (client.status !== 0) current?.finish();
      return;
    case "respond":
      if (client.status === 0 && one.status !== 101) current?.respond(one.status);
      return;
    case "refuse":
      if (client.status === 0) current?.fail(refused);
      return;
    case "lose":
      current?.fail(lost);
      return;
    case "none":
      setting.targets = [];
      setting.changed();
      return;
    case "both":
      setting.targets = [a, b];
      setting.changed();
      return;
    case "full":
      a.hasRoom = !a.hasRoom;
      if (current !== undefined) current.hasRoom = false;
      client.hasRoom = false;
      return;
    case "time":
      vi.advanceTimersByTime(one.ms);
      return;
  }
}

test("whatever comes in whatever order, an exchange ends exactly once, tries one at a time, and loses nothing it sends", () => {
  const options = fc.record({
    bodyLength: fc.constantFrom(0, -1),
    waitMs: fc.constantFrom(0, 300),
    timeoutMs: fc.constantFrom(0, 500),
    perTryTimeoutMs: fc.constantFrom(0, 200),
    on: fc.subarray(["connect-failure", "refused-stream", "reset", "5xx", "gateway-error"] as const),
    count: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  });
  fc.assert(
    fc.property(options, fc.array(step, { maxLength: 60 }), (chosen, steps) => {
      vi.clearAllTimers();
      const { bodyLength, waitMs, timeoutMs, perTryTimeoutMs, on, count } = chosen;
      const retry = { attempts: 2, perTryTimeoutMs, on, statusCodes: [] };
      const setting = startExchange({ head: { bodyLength }, routing: { waitMs, timeoutMs, retry }, count });
      const { client, a, b } = setting;
      const sent = { text: "" };
      for (const one of steps) {
        play(setting, one, sent);
        for (const { body } of [...a.tries, ...b.tries]) expect(sent.text.startsWith(body)).toBe(true);
        // Whoever was stopped has somebody who will let it go on.
        if (client.isPaused && !client.isOver) {
          const current = [...a.tries, ...b.tries].find(({ isOver }) => !isOver);
          expect(current === undefined ? vi.getTimerCount() > 0 : !current.hasRoom).toBe(true);
        }
      }
      if (!client.isOver && client.status === 0) vi.advanceTimersByTime(1000);
      client.leave();
      vi.advanceTimersByTime(1000);
      expect(violationsOf(setting)).toEqual([]);
      expect([a.active, b.active, setting.listeners.size]).toEqual([0, 0, 0]);
      expect([...a.tries, ...b.tries].every(({ isOver }) => isOver)).toBe(true);
      const counted = recorded(setting).flatMap(({ buckets }) => buckets);
      expect(counted.reduce((x, y) => x + y, 0)).toBe(1);
      setting.lines;
      expect(vi.getTimerCount()).toBe(0);
    }),
    { numRuns: 300 },
  );
});

test("by default nothing that may have been processed is ever sent twice", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.constantFrom(0, 300), (steps, waitMs) => {
      vi.clearAllTimers();
      const setting = startExchange({ head: { bodyLength: -1 }, routing: { waitMs } });
      const { client, a, b } = setting;
      for (const one of steps) play(setting, one, { text: "" });
      client.leave();
      vi.advanceTimersByTime(1000);
      const seen = [...a.ends, ...b.ends].filter((end) => end?.isUnprocessed !== true);
      expect(seen.length).toBeLessThanOrEqual(1);
    }),
    { numRuns: 200 },
  );
});
