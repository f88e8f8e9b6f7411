import type { ServerResponse } from "node:http";
import { afterEach, expect, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { Pulse } from "../../../daemon/docker/pulse.ts";
import { WorldWatch } from "../../../daemon/docker/world-watch.ts";
import { eventually } from "../../support/eventually.ts";
import { json, startFakeEngine } from "./fake-engine.ts";

const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

const log = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const labels = { "com.docker.compose.project": "shop", "com.docker.compose.service": "api" };

test("says once that the engine stopped answering, and once that it is back", async () => {
  let isDeaf = false;
  const held: ServerResponse[] = [];
  const fake = await startFakeEngine({
    "/containers/json": (response, url, request) => {
      if (isDeaf) held.push(response);
      else json([])(response, url, request);
    },
  });
  open.push(fake);
  const engine = await connectEngine(fake.env);
  open.push(engine);
  const seen: string[] = [];
  const say = (what: string) => () => void seen.push(what);
  open.push(
    new Pulse({
      ...{ engine, log, labels: ["a=b"], everyMs: 10 },
      onLook: () => seen.at(-1) !== "look" && seen.push("look"),
      onSilent: say("silent"),
      onBack: say("back"),
    }),
  );
  await eventually(() => expect(seen).toEqual(["look"]));
  isDeaf = true;
  await eventually(() => expect(seen).toEqual(["look", "silent"]));
  // It hangs up on who waits, again and again.
  await eventually(() => {
    for (const response of held.splice(0)) response.destroy();
    expect(fake.requests.length).toBeGreaterThan(6);
  });
  isDeaf = false;
  for (const response of held.splice(0)) response.destroy();
  await eventually(() => expect(seen).toEqual(["look", "silent", "back", "look"]));
});

test("the World follows an engine whose events say nothing, and asks for its events anew", async () => {
  const state = { Status: "running", StartedAt: "2026-01-01T00:00:00Z" };
  let status = "Up 5 minutes";
  const fake = await startFakeEngine({
    "/events": (response) => {
      response.writeHead(200);
      response.flushHeaders();
    },
    "/networks": json([]),
    "/containers/json": (response, url, request) =>
      json([{ Id: "api", State: state.Status, Status: status }])(response, url, request),
    "/containers/api/json": (response, url, request) =>
      json({ Id: "api", Name: "/api", Config: { Labels: labels }, HostConfig: {}, State: state })(
        response,
        url,
        request,
      ),
  });
  open.push(fake);
  const engine = await connectEngine(fake.env);
  open.push(engine);
  const identity = { project: "shop", mesh: "shop", stateId: "s" };
  const watch = new WorldWatch({ engine, identity, log, random: () => 0, pulseMs: 10 });
  open.push(watch);
  await watch.ready;
  await eventually(() => expect(fake.requests.length).toBeGreaterThan(20));
  const asked = () => fake.requests.filter(({ pathname }) => pathname.endsWith("/events")).length;
  expect(asked()).toBe(1);
  state.StartedAt = "2026-01-01T00:10:00Z";
  status = "Up 1 second";
  await eventually(() => expect(watch.snapshot().containers[0]?.startedAt).toBe("2026-01-01T00:10:00Z"));
  await eventually(() => expect(asked()).toBeGreaterThan(1));
});
