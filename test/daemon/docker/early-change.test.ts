import { expect, test } from "vitest";
import { isOfEarlierRun } from "../../../daemon/docker/early-change.ts";
import { parseEvent } from "../../../daemon/docker/event-lines.ts";

test.for<[string, string, string, boolean]>([
  ["before the start", "1796040000123456788", "2026-11-30T12:00:00.123456789Z", true],
  ["after the start", "1796040000123456790", "2026-11-30T12:00:00.123456789Z", false],
  ["a fraction with fewer digits", "1796040000119999999", "2026-11-30T12:00:00.12Z", true],
  ["a whole second", "1796040000000000001", "2026-11-30T12:00:00Z", false],
  ["never started", "1796040000000000001", "0001-01-01T00:00:00Z", false],
  ["no time at all", "1796040000000000001", "", false],
])("an end that happened %s", ([, timeNano, StartedAt, isEarlier]) => {
  const text = JSON.stringify({ Type: "container", Action: "die", Actor: { ID: "a" } }).slice(0, -1);
  const event = parseEvent(`${text},"timeNano":${timeNano}}`);
  if (event === null) return expect.unreachable();
  expect(isOfEarlierRun(event, { State: { StartedAt } })).toBe(isEarlier);
});
