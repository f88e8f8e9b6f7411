import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, onTestFinished, test } from "vitest";
import { BypassWatch, type CountedNamespace } from "../../daemon/bypass-watch.ts";
import { BypassLedger } from "../../daemon/telemetry/bypass-ledger.ts";

const listed = (bytes: number, handle = 1): string => {
  const counter = { packets: 1, bytes };
  const elem = [{ elem: { val: { concat: ["192.0.2.1", "udp", 5000, 0] }, counter } }];
  return JSON.stringify({
    nftables: [{ table: { name: "devmesh", handle } }, { set: { name: "passed_uncaptured_out4", elem } }],
  });
};
const namespace = (name: string, more: Partial<CountedNamespace> = {}): CountedNamespace => ({
  key: name,
  ownId: `own-${name}`,
  isWanted: true,
  owner: { service: name, container: `${name}-1` },
  ...more,
});

function open(namespaces: CountedNamespace[]) {
  const state = {
    namespaces,
    reads: [] as string[],
    changes: 0,
    now: 0,
    answer: async (_ownId: string): Promise<string> => listed(100),
  };
  const watch = new BypassWatch({
    ledger: new BypassLedger(),
    read: async (ownId) => {
      state.reads.push(ownId);
      return await state.answer(ownId);
    },
    namespaces: () => state.namespaces,
    owners: () => [],
    now: () => ++state.now,
    onChange: () => void state.changes++,
  });
  onTestFinished(() => watch.close());
  return { watch, state };
}

describe("BypassWatch", () => {
  test("a recount reads every sidecar once and is complete", async () => {
    const { watch, state } = open([namespace("a"), namespace("b")]);
    const { edges, isComplete, unread } = await watch.recount(5_000);
    expect(state.reads.sort()).toEqual(["own-a", "own-b"]);
    expect(edges.map(({ from, bytes }) => [from, bytes])).toEqual([
      ["a", 100],
      ["b", 100],
    ]);
    expect({ isComplete, unread }).toEqual({ isComplete: true, unread: [] });
    expect(state.changes).toBe(2);
  });

  test("one that comes while another is under way is read anew, and shared by all who wait", async () => {
    const { watch, state } = open([namespace("a")]);
    const first = watch.recount(5_000);
    await turn();
    await Promise.all([watch.recount(5_000), watch.recount(5_000), first]);
    expect(state.reads).toHaveLength(2);
  });

  test("a sidecar that does not answer in time is named, and what was read before is no answer", async () => {
    const { watch, state } = open([namespace("a")]);
    expect((await watch.recount(5_000)).isComplete).toBe(true);
    const { promise, resolve } = Promise.withResolvers<string>();
    state.answer = () => promise;
    const { edges, isComplete, unread } = await watch.recount(5);
    expect(edges[0]?.bytes).toBe(100);
    expect({ isComplete, unread }).toEqual({
      isComplete: false,
      unread: [{ container: "a-1", reason: "its sidecar did not answer in time" }],
    });
    resolve(listed(100));
  });

  test.each<[string, CountedNamespace, () => Promise<string>, string]>([
    ["whose reading fails", namespace("a"), () => Promise.reject(new Error("no such exec")), "no such exec"],
    [
      "whose rules are not there",
      namespace("a"),
      async () => JSON.stringify({ nftables: [] }),
      "the rules are not loaded",
    ],
    ["without a sidecar", namespace("a", { ownId: null }), async () => "", "its sidecar does not run"],
  ])("a container %s is named", async (_why, one, answer, reason) => {
    const { watch, state } = open([one]);
    state.answer = answer;
    expect(await watch.recount(5_000)).toEqual({
      edges: [],
      isComplete: false,
      unread: [{ container: "a-1", reason }],
    });
  });

  test("a container that is no more wanted is read, and not missed", async () => {
    const { watch } = open([namespace("a", { isWanted: false })]);
    expect(await watch.recount(5_000)).toMatchObject({ isComplete: true, edges: [{ bytes: 100 }] });
  });

  test("before a sidecar is removed it is read for the last time, under the name that its container had", async () => {
    const { watch, state } = open([namespace("a")]);
    watch.learn();
    state.namespaces = [namespace("a", { isWanted: false, owner: { service: "devmesh-a", container: "devmesh-a" } })];
    await watch.readBeforeRemoval("own-a");
    state.namespaces = [];
    expect(await watch.recount(5_000)).toMatchObject({ isComplete: true, edges: [{ from: "a", bytes: 100 }] });
    expect(state.reads).toEqual(["own-a"]);
  });

  test("one that ends unread leaves a gap, which no later reading closes", async () => {
    const { watch, state } = open([namespace("a")]);
    watch.learn();
    state.namespaces = [];
    for (let i = 0; i < 2; i++) {
      expect(await watch.recount(5_000)).toMatchObject({
        isComplete: false,
        unread: [{ container: "a-1", reason: "it ended before its counters were read" }],
      });
    }
  });

  test("rules that were loaded anew without a last reading leave a gap", async () => {
    const { watch, state } = open([namespace("a")]);
    await watch.recount(5_000);
    state.answer = async () => listed(10, 2);
    expect(await watch.recount(5_000)).toMatchObject({
      isComplete: false,
      edges: [{ bytes: 110 }],
      unread: [{ container: "a-1", reason: "its sidecar was replaced before its counters were read" }],
    });
  });

  test("what nobody recounted for never claims to be complete", async () => {
    const { watch } = open([namespace("a")]);
    expect(watch.view()).toEqual({ edges: [], isComplete: false, unread: [] });
    await watch.recount(5_000);
    expect(watch.view()).toMatchObject({ edges: [{ bytes: 100 }], isComplete: false, unread: [] });
  });

  test("reads a few at a time", async () => {
    const { watch, state } = open(Array.from({ length: 20 }, (_, i) => namespace(`n${i}`)));
    let now = 0;
    let most = 0;
    state.answer = async () => {
      most = Math.max(most, ++now);
      await turn();
      now--;
      return listed(1);
    };
    await watch.recount(5_000);
    expect(state.reads).toHaveLength(20);
    expect(most).toBeLessThanOrEqual(4);
  });
});
