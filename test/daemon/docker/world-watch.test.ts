// The World as it follows an engine that a test plays.
import type { ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { WorldWatch } from "../../../daemon/docker/world-watch.ts";
import { eventually } from "../../support/eventually.ts";
import { json, startFakeEngine } from "./fake-engine.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const labels = { "com.docker.compose.project": "shop", "com.docker.compose.service": "api" };

async function watchOne() {
  const streams: ServerResponse[] = [];
  const state = { Status: "running", StartedAt: "2026-01-01T00:00:00Z" };
  const clock = { ms: 0 };
  const fake = await startFakeEngine({
    "/events": (response) => {
      response.writeHead(200);
      response.flushHeaders();
      streams.push(response);
    },
    "/networks": json([]),
    "/containers/json": json([{ Id: "api" }]),
    "/containers/api/json": (response, url, request) =>
      json({ Id: "api", Name: "/shop_api_1", Config: { Labels: labels }, HostConfig: {}, State: state })(
        response,
        url,
        request,
      ),
  });
  open.push(fake);
  const engine = await connectEngine(fake.env);
  open.push(engine);
  const watch = new WorldWatch({
    engine,
    identity: { project: "shop", mesh: "shop", stateId: "s" },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    random: () => 0,
    now: () => clock.ms,
  });
  open.push(watch);
  await watch.ready;
  // All of them after the starts, as an engine tells them.
  let nanos = 1_800_000_000_000_000_000n;
  const inspects = () => fake.requests.filter(({ pathname }) => pathname.endsWith("/containers/api/json")).length;
  /** Returns once the watch has asked again, and has its answer. */
  const tell = async (action: string, signal?: string): Promise<void> => {
    const before = inspects();
    const Attributes = { ...labels, ...(signal && { signal }) };
    const actor = JSON.stringify({ Type: "container", Action: action, Actor: { ID: "api", Attributes } });
    streams[0]?.write(`${actor.slice(0, -1)},"timeNano":${nanos++}}\n`);
    await eventually(() => expect(inspects()).toBeGreaterThan(before));
    await watch.refresh(["api"]);
  };
  const seen = () => watch.snapshot().containers.map(({ state: one, isStopping }) => `${one} ${isStopping}`);
  return { watch, state, clock, tell, seen };
}

test("a container that was told to stop is stopping until it ends, and its next start is not", async () => {
  const { state, tell, seen } = await watchOne();
  expect(seen()).toEqual(["running false"]);
  await tell("kill", "15");
  expect(seen()).toEqual(["running true"]);
  state.Status = "exited";
  await tell("die");
  expect(seen()).toEqual(["exited false"]);
  Object.assign(state, { Status: "running", StartedAt: "2026-01-01T00:01:00Z" });
  await tell("start");
  expect(seen()).toEqual(["running false"]);
});

test("another signal changes nothing", async () => {
  const { tell, seen } = await watchOne();
  await tell("kill", "1");
  expect(seen()).toEqual(["running false"]);
});

test("one that is seen to run long after it should have ended took the signal for something else", async () => {
  const { watch, clock, tell, seen } = await watchOne();
  await tell("kill", "15");
  clock.ms = 15_000;
  await watch.relist();
  expect(seen()).toEqual(["running true"]);
  clock.ms = 15_001;
  expect(seen()).toEqual(["running true"]);
  await watch.relist();
  expect(seen()).toEqual(["running false"]);
});
