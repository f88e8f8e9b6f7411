// The order in which the runner carries out a plan, seen from what an engine is asked for.
import { afterEach, expect, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { ActionRunner } from "../../../daemon/docker/execute.ts";
import type { Action } from "../../../daemon/docker/plan.ts";
import { eventually } from "../../support/eventually.ts";
import { json, startFakeEngine } from "./fake-engine.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const clean = (key: string): Action => {
  return { kind: "clean-hosts", key, containerId: key, address: "10.0.0.2", hostsKey: key };
};

async function openRunner() {
  const created = json({ Id: "own" }, 201);
  const running = { now: 0, most: 0 };
  const asked: string[] = [];
  const fake = await startFakeEngine({
    "/containers/create": (response, url, request) => {
      asked.push(url.searchParams.get("name") ?? "");
      running.now++;
      running.most = Math.max(running.most, running.now);
      created(response, url, request);
    },
    "/containers/own/start": json(null, 204),
    "/containers/own/wait": json({ StatusCode: 0 }),
    "/containers/own": (response, url, request) => {
      running.now--;
      json(null, 204)(response, url, request);
    },
    "/containers/busy/start": (response, url, request) => {
      asked.push("start busy");
      setTimeout(() => json(null, 204)(response, url, request), 50);
    },
  });
  const engine = await connectEngine(fake.env);
  const runner = new ActionRunner({
    engine,
    identity: { mesh: "m", project: "p", stateId: "s" },
    image: "proxy",
    facts: { logConfig: {} } as never,
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    random: () => 0.5,
    now: () => performance.now(),
    world: { refresh: async () => undefined, relist: async () => undefined },
    onSettled: () => undefined,
  });
  open.push(fake, engine, runner);
  return { runner, asked, running };
}

test("hosts files are cleaned one at a time, and only a while after the last start", async () => {
  const { runner, asked, running } = await openRunner();
  const startedAt = performance.now();
  runner.submit([clean("a"), { kind: "start-own", key: "busy", ownId: "busy" }, clean("b"), clean("c")]);
  await runner.settled("busy");
  expect(asked).toEqual(["start busy"]);
  await eventually(() => expect(asked).toHaveLength(4));
  expect(performance.now() - startedAt).toBeGreaterThan(1_000);
  expect(running.most).toBe(1);
});

test("who waits for a container does not wait until its hosts file is clean", async () => {
  const { runner, asked } = await openRunner();
  runner.submit([{ kind: "start-own", key: "busy", ownId: "busy" }, clean("a")]);
  await runner.settled("busy");
  await runner.settled("a");
  expect(asked).toEqual(["start busy"]);
});
