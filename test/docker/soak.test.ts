// A soak of half a minute, the same faults each time; `npm run soak` draws them for half an hour.
import { expect, test } from "vitest";
import { soakFaults } from "../soak/faults.ts";
import { soak } from "../soak/soak.ts";

const chosen = [
  "kill the daemon and run a command",
  "events in trouble (lose) while a replica restarts",
  "kill the sidecar of a replica",
  "restart redis",
];

test("after a few faults nothing was answered wrongly, nothing acknowledged is lost, nothing has leaked", async () => {
  const faults = chosen.map((name) => soakFaults.find((fault) => fault.name === name) ?? expect.unreachable(name));
  const verdict = await soak({
    ...{ seed: 1, faults, untilMs: 0, isOneRound: true, hasOwnEngine: false },
    print: (text) => console.log(text),
  });
  expect(verdict).toEqual([]);
}, 300_000);
