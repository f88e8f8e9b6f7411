import { describe, expect, test } from "vitest";
import { Attempts, backoffMs, stableAfterMs } from "../../../daemon/docker/attempts.ts";
import type { Action } from "../../../daemon/docker/plan.ts";

const mesh = { id: "n", name: "n", subnet: "", gateway: "" };
const create = (startedAt = "t1"): Action => ({
  kind: "create-sidecar",
  key: "app",
  sidecar: { containerId: "app", startedAt, container: "app" },
  mesh,
  connects: false,
});
const start: Action = { kind: "start-own", key: "app", ownId: "side" };

function atTime() {
  const clock = { ms: 1000 };
  return { clock, attempts: new Attempts({ now: () => clock.ms, random: () => 1 }) };
}

describe("Attempts", () => {
  test("a failure is tried again later and later, up to a limit", () => {
    const { clock, attempts } = atTime();
    const waits = Array.from({ length: 9 }, () => {
      attempts.onFailed(create(), new Error("no"), "no");
      const waitMs = attempts.waitMs("app", [create()]);
      clock.ms += waitMs;
      return waitMs;
    });
    expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(attempts.waitMs("app", [create()])).toBe(0);
    expect(attempts.failures.get("app")).toMatchObject({ action: "create-sidecar", reason: "no", attempts: 9 });
  });

  test("a failure whose reason may be gone is tried again at once, and the others wait", () => {
    const { attempts } = atTime();
    attempts.onFailed(create(), new Error("no image"), "no image");
    attempts.onFailed({ ...create(), key: "other" }, new Error("no"), "no");
    attempts.hurry(({ reason }) => reason === "no image");
    expect(attempts.waitMs("app", [create()])).toBe(0);
    expect(attempts.waitMs("other", [create()])).toBe(backoffMs.first);
    expect(attempts.failures.get("app")?.reason).toBe("no image");
  });

  test("a failure is forgotten when nothing is left to do", () => {
    const { attempts } = atTime();
    attempts.onFailed(create(), new Error("no"), "no");
    attempts.onWell("app");
    expect(attempts.failures.size).toBe(0);
  });

  test("a restarted application starts with a clean sheet", () => {
    const { attempts } = atTime();
    attempts.onFailed(create("t1"), new Error("no"), "no");
    expect(attempts.waitMs("app", [create("t1")])).toBe(backoffMs.first);
    expect(attempts.waitMs("app", [create("t2")])).toBe(0);
  });

  test("a sidecar that dies is back at once, one that keeps dying waits longer each time", () => {
    const { clock, attempts } = atTime();
    attempts.onDone(create());
    clock.ms += 60_000;
    const waits = Array.from({ length: 5 }, () => {
      const waitMs = attempts.waitMs("app", [start]);
      clock.ms += waitMs;
      attempts.onDone(start);
      clock.ms += 100;
      return waitMs;
    });
    expect(waits).toEqual([0, 0, 400, 900, 1900]);
    attempts.waitMs("app", [start]);
    expect(attempts.failures.get("app")?.reason).toMatch("ended 5 times within seconds of its start");
  });

  test("one that ran for long is not called dying", () => {
    const { clock, attempts } = atTime();
    for (let n = 0; n < 5; n++) {
      expect(attempts.waitMs("app", [start])).toBe(0);
      attempts.onDone(start);
      clock.ms += stableAfterMs + 30_001;
    }
  });
});
