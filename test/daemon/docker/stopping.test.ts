import { describe, expect, test } from "vitest";
import type { EngineEvent } from "../../../daemon/docker/event-lines.ts";
import { isOverdue, isUnderWay, stopOf } from "../../../daemon/docker/stopping.ts";
import { container } from "../support.ts";

const event = (action: string, signal?: string): EngineEvent => ({
  type: "container",
  action,
  containerId: "a-id",
  networkId: "",
  attributes: signal === undefined ? {} : { signal },
  timeNano: "1",
});
const inspected = (config: object = {}) => ({ Config: config, State: { StartedAt: "t1" } });

describe("a container is told to stop", () => {
  test.each<[string, EngineEvent, object, boolean]>([
    ["by SIGTERM", event("kill", "15"), {}, true],
    ["by SIGKILL", event("kill", "9"), {}, true],
    ["by its own stop signal", event("kill", "3"), { StopSignal: "SIGQUIT" }, true],
    ["by its own stop signal, without SIG", event("kill", "3"), { StopSignal: "quit" }, true],
    ["by its own stop signal as a number", event("kill", "3"), { StopSignal: "3" }, true],
    ["by a real-time signal, as systemd", event("kill", "37"), { StopSignal: "SIGRTMIN+3" }, true],
    ["not by SIGHUP, which reloads", event("kill", "1"), {}, false],
    ["not by SIGUSR1, which rotates logs", event("kill", "10"), { StopSignal: "SIGQUIT" }, false],
    ["not by a signal that nobody can read", event("kill"), { StopSignal: "nonsense" }, false],
    ["not by another event", event("die", "15"), {}, false],
  ])("%s", (_why, one, config, expected) => {
    expect(stopOf(one, inspected(config), 0) !== null).toBe(expected);
  });
});

test("it is stopping until it ends; its next start is not", () => {
  const stop = stopOf(event("kill", "15"), inspected(), 0);
  if (stop === null) expect.unreachable();
  const states = (["running", "paused", "exited", "restarting", "dead"] as const).map((state) =>
    isUnderWay(stop, container("a", { state, startedAt: "t1" })),
  );
  expect(states).toEqual([true, true, false, false, false]);
  expect(isUnderWay(stop, container("a", { startedAt: "t2" }))).toBe(false);
});

test.each([
  ["Docker's ten seconds", {}, 15_000],
  ["the container's own time", { StopTimeout: 60 }, 65_000],
  ["no time at all", { StopTimeout: 0 }, 5000],
])("it is overdue after %s and a margin", (_why, config, ms) => {
  const stop = stopOf(event("kill", "15"), inspected(config), 1000);
  if (stop === null) expect.unreachable();
  expect([isOverdue(stop, 1000 + ms), isOverdue(stop, 1001 + ms)]).toEqual([false, true]);
});
