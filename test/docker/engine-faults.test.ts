// The engine itself in trouble: events that are lost, repeated, out of order or not told at all, a frozen connection, a restart.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { FaultProject } from "../support/fault-project.ts";
import { Forwarder } from "../support/forwarder.ts";
import { type Fault, faultsOf } from "../support/history.ts";
import { describeLoad, failures } from "../support/load.ts";
import { SecondEngine } from "../support/second-engine.ts";
import { builtImages } from "../support/shop-project.ts";
import { type EventTrouble, TroubledEngine } from "../support/troubled-engine.ts";

/** From Docker's start of a container to the start of its sidecar, whatever the events say: a look comes every second. */
const attachedWithinMs = 2000;
/** A call to the engine gets three seconds, and looks come every second. */
const noticedWithinMs = 5000;
/** From the moment that the engine answers again until an edit is in force. */
const inForceWithinMs = 2000;
/** Only what was written to the container that ended may fail: its peers find out by silence within this, or are told. */
const learntWithinMs = 3000;
/** What npm test allows a bar to be missed by. */
const slack = 3;
const names = { pay: ["pay-v1", "pay-v2"], api: ["api"] };

describe("an engine behind a door that makes trouble", () => {
  const state: { door: TroubledEngine | null; forwarder: Forwarder | null; project: FaultProject | null } = {
    door: null,
    forwarder: null,
    project: null,
  };
  const door = (): TroubledEngine => state.door ?? expect.unreachable("the door is not open");
  const project = (): FaultProject => state.project ?? expect.unreachable("the project is not up");

  beforeAll(async () => {
    state.door = await TroubledEngine.start();
    state.forwarder = await Forwarder.start(door().socket);
    const direct = "unix:///var/run/docker.sock";
    state.project = new FaultProject({ name: "door", host: state.forwarder.url, direct });
    await project().up();
  });

  afterAll(async () => {
    await state.project?.[Symbol.asyncDispose]();
    await state.forwarder?.[Symbol.asyncDispose]();
    await state.door?.[Symbol.asyncDispose]();
  });

  const startedAt = async (id: string): Promise<number> =>
    Date.parse(await project().docker("inspect", "-f", "{{.State.StartedAt}}", id));

  test.for<[EventTrouble, string]>([
    ["lose", "lost"],
    ["repeat", "told three times"],
    ["shuffle", "told in reverse"],
    ["silence", "not told at all"],
  ])("a container that restarts while events are %s (%s) gets its sidecar within seconds", async ([trouble, what]) => {
    const api = await project().container("api");
    const name = (await project().docker("inspect", "-f", "{{.Name}}", api)).slice(1);
    let fault: Fault = { names: name, fromMs: 0, untilMs: 0 };
    let attachedMs = 0;
    const { pay, api: sent } = await project().underLoad(async (loads) => {
      door().trouble = trouble;
      const fromMs = Date.now();
      await project().docker("restart", "-t", "2", api);
      const since = await startedAt(api);
      attachedMs = await eventually(async () => {
        const sidecar = await project().docker("ps", "-q", "--filter", `label=dev.devmesh.owner=${api}`);
        const at = sidecar === "" ? 0 : await startedAt(sidecar);
        if (at <= since) throw new Error("it has no sidecar in its new namespace");
        return at - since;
      }, 30_000);
      fault = { names: name, fromMs, untilMs: since + learntWithinMs * slack };
      await eventually(() => {
        const newest = loads.api.sent.slice(-40);
        if (!newest.some(({ host }) => host === api.slice(0, 12))) throw new Error("the replica answers nothing");
      }, 30_000);
    });
    door().trouble = "none";
    console.log(`events ${what}: sidecar ${attachedMs} ms after its container: ${describeLoad(sent)}`);
    expect(faultsOf(sent, names.api, [fault])).toEqual([]);
    expect(faultsOf(pay, names.pay, [])).toEqual([]);
    expect(attachedMs).toBeLessThan(attachedWithinMs * slack);
  });

  test("a connection that freezes without a FIN is noticed, fails nothing, and an edit is in force soon after the thaw", async () => {
    let noticedMs = 0;
    let inForceMs = 0;
    const { pay, api } = await project().underLoad(async (loads) => {
      const frozenMs = Date.now();
      state.forwarder?.freeze();
      try {
        const name = project().edit();
        await eventually(
          async () => {
            const { health, troubles } = await project().mesh.status();
            expect(health).toBe("error");
            expect(troubles.join()).toContain("does not answer");
          },
          30_000,
          100,
        );
        noticedMs = Date.now() - frozenMs;
        await loads.pay.successes(60);
        expect(loads.pay.sent.filter((one) => one.name === name && one.start > frozenMs + noticedMs)).toEqual([]);
        const thawedMs = Date.now();
        state.forwarder?.thaw();
        inForceMs = Math.max(0, (await project().followed(loads.pay, name)) - thawedMs);
      } finally {
        state.forwarder?.thaw();
      }
    });
    console.log(`frozen: noticed after ${noticedMs} ms, edit in force ${inForceMs} ms after: ${describeLoad(pay)}`);
    expect([...faultsOf(pay, names.pay, []), ...faultsOf(api, names.api, [])]).toEqual([]);
    expect(noticedMs).toBeLessThan(noticedWithinMs * slack);
    expect(inForceMs).toBeLessThan(inForceWithinMs * slack);
    await project().isWell();
  });
});

test("an engine that restarts under its containers fails no request, and an edit made meanwhile is in force soon after", async () => {
  const { proxy, shop } = builtImages();
  await using engine = await SecondEngine.start({ liveRestore: true, images: [proxy, shop] });
  await using project = new FaultProject({ name: "live", host: engine.url, direct: engine.url });
  await project.up();
  let awayMs = 0;
  let inForceMs = 0;
  const sidecars = (): Promise<string> => project.docker("ps", "-q", "--filter", "label=dev.devmesh.kind=sidecar");
  const before = await sidecars();
  const { pay, api } = await project.underLoad(async (loads) => {
    const stoppedMs = Date.now();
    await engine.stop();
    const name = project.edit();
    await engine.start();
    const backMs = Date.now();
    awayMs = backMs - stoppedMs;
    inForceMs = Math.max(0, (await project.followed(loads.pay, name)) - backMs);
  });
  console.log(`engine away ${awayMs} ms: edit in force ${inForceMs} ms after: ${describeLoad(pay)}`);
  expect([...failures(pay), ...failures(api)]).toEqual([]);
  expect(faultsOf(pay, names.pay, [])).toEqual([]);
  expect(inForceMs).toBeLessThan(inForceWithinMs * slack);
  await project.isWell();
  expect(await sidecars()).toBe(before);
});
