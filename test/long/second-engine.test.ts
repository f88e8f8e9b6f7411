// The engine that tests may break is one of its own: it runs our images, survives its own end, and this machine's engine never sees it.
import { afterAll, beforeAll, expect, test } from "vitest";
import { SecondEngine } from "../support/second-engine.ts";
import { builtImages } from "../support/shop-project.ts";

const state: { engine: SecondEngine | null } = { engine: null };
const engine = (): SecondEngine => state.engine ?? expect.unreachable("the engine is not up");
const { proxy } = builtImages();

beforeAll(async () => {
  state.engine = await SecondEngine.start({ liveRestore: true, images: [proxy] });
});

afterAll(async () => {
  await state.engine?.[Symbol.asyncDispose]();
});

async function run(): Promise<string> {
  const args = ["run", "-d", "--stop-signal", "KILL", "--entrypoint", "sleep", proxy, "600"];
  return await engine().docker(...args);
}

const isRunning = (id: string): Promise<string> => engine().docker("inspect", "-f", "{{.State.Running}}", id);

test("it runs a container that outlives it, stopped or killed, with live restore", async () => {
  const id = await run();
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    const pid = await engine().docker("inspect", "-f", "{{.State.Pid}}", id);
    await engine().stop(signal);
    await expect(engine().docker("version")).rejects.toThrow();
    await engine().start();
    expect(await engine().docker("inspect", "-f", "{{.State.Pid}}", id)).toBe(pid);
    expect(await engine().docker("exec", id, "echo", "alive")).toBe("alive");
  }
});

test("without live restore it takes its containers along", async () => {
  await engine().stop();
  await engine().start({ liveRestore: false });
  const id = await run();
  await engine().stop();
  await engine().start();
  expect(await isRunning(id)).toBe("false");
});
