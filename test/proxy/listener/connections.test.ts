import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Connections } from "../../../proxy/listener/connections.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const connection = (drain: () => void = () => undefined) => ({ drain: vi.fn(drain), close: vi.fn() });

test("a drain is over at once where nothing is open", async () => {
  await new Connections().drain(1000);
  expect(vi.getTimerCount()).toBe(0);
});

test("a drain reaches each, also one that goes meanwhile, and is over when the last has gone", async () => {
  const connections = new Connections();
  const quick = connection(() => connections.remove(quick));
  const slow = connection();
  connections.add(quick);
  connections.add(slow);
  const over = vi.fn();
  const drained = connections.drain(1000).then(over);
  expect([quick.drain.mock.calls.length, slow.drain.mock.calls.length]).toEqual([1, 1]);
  await vi.advanceTimersByTimeAsync(500);
  expect(over).not.toHaveBeenCalled();
  connections.remove(slow);
  await drained;
  expect([slow.close.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
});

test("what is left at the end of the time is cut", async () => {
  const connections = new Connections();
  const stuck = connection();
  connections.add(stuck);
  const drained = connections.drain(1000);
  await vi.advanceTimersByTimeAsync(1000);
  await drained;
  expect(stuck.close.mock.calls.length).toBe(1);
});
