import { describe, expect, it } from "vitest";
import type { Clock } from "../../../proxy/inner/clock.ts";
import { defaultInnerLimits } from "../../../proxy/inner/limits.ts";
import { PeerWatch } from "../../../proxy/inner/peer-watch.ts";

/** Time that passes when the test says so. */
class ManualClock implements Clock {
  timers: { at: number; callback: () => void }[] = [];
  #now = 0;

  now(): number {
    return this.#now;
  }

  setTimeout(callback: () => void, ms: number) {
    const timer = { at: this.#now + ms, callback };
    this.timers.push(timer);
    return {
      cancel: () => {
        this.timers = this.timers.filter((other) => other !== timer);
      },
    };
  }

  /** Runs what is due, in order, and then lets one turn of the real loop pass. */
  async advance(ms: number): Promise<void> {
    const until = this.#now + ms;
    for (;;) {
      const due = this.timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#now = Math.max(this.#now, due.at);
      this.timers = this.timers.filter((timer) => timer !== due);
      due.callback();
    }
    this.#now = until;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function watching() {
  const clock = new ManualClock();
  const events: string[] = [];
  const watch = new PeerWatch(
    { clock, limits: defaultInnerLimits },
    { ping: (token) => events.push(`ping ${token}`), dead: () => events.push("dead") },
  );
  return { clock, events, watch };
}

describe("PeerWatch", () => {
  it("pings after 500 ms of silence, and gives up 1 s later", async () => {
    const { clock, events, watch } = watching();
    watch.watch();
    await clock.advance(499);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual(["ping 1"]);
    await clock.advance(999);
    expect(events).toEqual(["ping 1"]);
    await clock.advance(1);
    expect(events).toEqual(["ping 1", "dead"]);
  });

  it("takes any byte for an answer, and counts the silence from there", async () => {
    const { clock, events, watch } = watching();
    watch.watch();
    await clock.advance(1400);
    watch.heard();
    await clock.advance(400);
    expect(events).toEqual(["ping 1"]);
    await clock.advance(200);
    expect(events).toEqual(["ping 1", "ping 2"]);
  });

  it("does not ping a peer that talks", async () => {
    const { clock, events, watch } = watching();
    watch.watch();
    for (let i = 0; i < 20; i++) {
      await clock.advance(400);
      watch.heard();
    }
    expect(events).toEqual([]);
  });

  it("means nothing while no stream is open, and begins anew with the next one", async () => {
    const { clock, events, watch } = watching();
    watch.watch();
    watch.rest();
    await clock.advance(60_000);
    expect([events, clock.timers]).toEqual([[], []]);
    watch.watch();
    await clock.advance(499);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual(["ping 1"]);
  });

  it("keeps one timer, however often streams come and go", async () => {
    const { clock, events, watch } = watching();
    for (let i = 0; i < 1000; i++) {
      watch.watch();
      watch.heard();
      watch.rest();
    }
    expect(clock.timers).toHaveLength(1);
    watch.stop();
    expect([clock.timers, events]).toEqual([[], []]);
  });

  it("reads what has come before it judges: this process may have been stopped itself", async () => {
    const { clock, events, watch } = watching();
    watch.watch();
    await clock.advance(500);
    const late = clock.advance(10_000);
    // The socket is read between the late timer and the judgement.
    watch.heard();
    await late;
    expect(events).toEqual(["ping 1"]);
    await clock.advance(500);
    expect(events).toEqual(["ping 1", "ping 2"]);
  });
});
