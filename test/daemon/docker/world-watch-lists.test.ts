// Lists that fail: the World stays, nothing is left unhandled, and the next list tells.
import { expect, onTestFinished, test } from "vitest";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { WorldWatch } from "../../../daemon/docker/world-watch.ts";
import { eventually } from "../../support/eventually.ts";
import { json, startFakeEngine } from "./fake-engine.ts";

test("an engine that fails one of its lists before the others have answered ends nothing, and is asked again", async () => {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  onTestFinished(() => void process.off("unhandledRejection", onUnhandled));
  let fails = 1;
  const fake = await startFakeEngine({
    "/events": (response) => {
      response.writeHead(200);
      response.flushHeaders();
    },
    "/networks": (response, url, request) => {
      if (fails-- > 0) response.destroy();
      else json([])(response, url, request);
    },
    // Later than the failure.
    "/containers/json": (response, url, request) => void setTimeout(json([]), 20, response, url, request),
  });
  onTestFinished(() => fake.close());
  const engine = await connectEngine(fake.env);
  onTestFinished(() => engine.close());
  const watch = new WorldWatch({
    engine,
    identity: { project: "shop", mesh: "shop", stateId: "s" },
    log: { debug: () => undefined, info: () => undefined, warn: () => undefined },
    random: () => 0,
    now: () => 0,
  });
  onTestFinished(() => watch.close());
  await watch.ready;
  const lists = fake.requests.filter(({ pathname }) => pathname.endsWith("/networks"));
  expect(lists).toHaveLength(2);
  await eventually(() => expect(watch.isConnected).toBe(true));
  expect(unhandled).toEqual([]);
});
