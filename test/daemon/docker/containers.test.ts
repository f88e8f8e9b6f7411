import { expect, onTestFinished, test } from "vitest";
import { pauseContainer } from "../../../daemon/docker/containers.ts";
import { connectEngine } from "../../../daemon/docker/engine.ts";
import { type Answer, json, startFakeEngine } from "./fake-engine.ts";

const busy = json({ message: "Cannot pause container abc: OCI runtime pause failed: unable to freeze: unknown" }, 500);
const stopped = json({ message: "Container abc is not running" }, 500);
const done: Answer = (response) => response.writeHead(204).end();

/** An engine that answers each pause with the next of these, and the last for ever. */
async function engineThatSays(...answers: readonly Answer[]) {
  let next = 0;
  const pause: Answer = (...args) => (answers[Math.min(next++, answers.length - 1)] ?? done)(...args);
  const fake = await startFakeEngine({ "/containers/abc/pause": pause });
  onTestFinished(() => fake.close());
  const engine = await connectEngine(fake.env);
  onTestFinished(() => engine.close());
  return { engine, asked: () => fake.requests.filter(({ pathname }) => pathname.endsWith("/pause")).length };
}

test("a pause that a busy machine could not carry out is tried again", async () => {
  const { engine, asked } = await engineThatSays(busy, busy, done);
  expect(await pauseContainer(engine, "abc")).toBe(true);
  expect(asked()).toBe(3);
});

test("a pause that is never carried out is given up with the engine's reason", async () => {
  const { engine, asked } = await engineThatSays(busy);
  await expect(pauseContainer(engine, "abc")).rejects.toThrow(/unable to freeze/);
  expect(asked()).toBe(5);
});

test("a container that does not run is not paused, and not asked for again", async () => {
  const { engine, asked } = await engineThatSays(stopped);
  expect(await pauseContainer(engine, "abc")).toBe(false);
  expect(asked()).toBe(1);
});
