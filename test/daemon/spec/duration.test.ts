import { expect, test } from "vitest";
import { parseDuration } from "../../../daemon/spec/duration.ts";

const rows: readonly (readonly [string, string, number | null])[] = [
  ["seconds", "2s", 2_000],
  ["milliseconds", "500ms", 500],
  ["minutes and seconds", "1m30s", 90_000],
  ["hours", "1h", 3_600_000],
  ["all units", "1h2m3s4ms", 3_723_004],
  ["a fraction of seconds", "1.5s", 1_500],
  ["a fraction that floating point cannot hold", "1.1s", 1_100],
  ["zero", "0s", 0],
  ["nothing", "", null],
  ["no unit", "2", null],
  ["no number", "s", null],
  ["a unit that is not read", "1d", null],
  ["a unit twice", "1s1s", null],
  ["units from small to large", "1s1m", null],
  ["a sign", "-1s", null],
  ["spaces", "1 s", null],
  ["capitals", "1S", null],
  ["less than a millisecond", "0.5ms", null],
  ["microseconds", "10us", null],
  ["more digits than anybody writes", `${"9".repeat(13)}s`, null],
  ["an exponent", "1e3s", null],
];

test.each(rows)("a duration with %s is read or refused", (_, text, expected) => {
  expect(parseDuration(text)).toBe(expected);
});
