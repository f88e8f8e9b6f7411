// What test/docker/engine-faults.test.ts leaves out because it takes minutes: containers that end with their engine, a killed engine, a slow
// one, and a freeze that outlasts every timeout.
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { FaultProject } from "../support/fault-project.ts";
import { Forwarder } from "../support/forwarder.ts";
import { faultsOf } from "../support/history.ts";
import { describeLoad, failures, firstSuccessAfter, isSuccess } from "../support/load.ts";
import { SecondEngine } from "../support/second-engine.ts";
import { builtImages } from "../support/shop-project.ts";
import { TroubledEngine } from "../support/troubled-engine.ts";

const names = { pay: ["pay-v1", "pay-v2"], api: ["api"] };
const callDelayMs = 2000;
const frozenMs = 21_000;
/** Of a new container behind an engine that takes 2 s for each call: a start, a list, an inspect, create, start, exec. */
const attachedSlowlyWithinMs = 15_000;
/** After the containers themselves are back. */
const allReadyWithinMs = 10_000;
const slack = 3;

describe("an engine of its own", () => {
  const state: { engine: SecondEngine | null; project: FaultProject | null } = { engine: null, project: null };
  const engine = (): SecondEngine => state.engine ?? expect.unreachable("the engine is not up");
  const project = (): FaultProject => state.project ?? expect.unreachable("the project is not up");

  beforeAll(async () => {
    const { proxy, shop } = builtImages();
    state.engine = await SecondEngine.start({ liveRestore: true, images: [proxy, shop] });
    const host = engine().url;
    state.project = new FaultProject({ name: "long", host, direct: host, restart: "always" });
    await project().up();
  });

  afterAll(async () => {
    await state.project?.[Symbol.asyncDispose]();
    await state.engine?.[Symbol.asyncDispose]();
  });

  test("killed under its containers it fails no request, and an edit is in force soon after it is back", async () => {
    let inForceMs = 0;
    const { pay, api } = await project().underLoad(async (loads) => {
      await engine().stop("SIGKILL");
      const name = project().edit();
      await loads.pay.successes(80);
      await engine().start();
      const backMs = Date.now();
      inForceMs = Math.max(0, (await project().followed(loads.pay, name)) - backMs);
    });
    console.log(`engine killed: edit in force ${inForceMs} ms after it answers: ${describeLoad(pay)}`);
    expect([...failures(pay), ...failures(api)]).toEqual([]);
    expect([...faultsOf(pay, names.pay, []), ...faultsOf(api, names.api, [])]).toEqual([]);
    await project().isWell();
  });

  test("without live restore its containers come back with it, and each gets a sidecar of its own anew", async () => {
    await engine().stop();
    await engine().start({ liveRestore: false });
    await project().isWell();
    await engine().stop();
    const startMs = Date.now();
    await engine().start();
    const answersMs = Date.now();
    const services = ["client", "api", "pay-v1", "pay-v2"];
    const ids = await Promise.all(services.map((service) => project().container(service)));
    await eventually(async () => {
      const running = await project().docker("inspect", "-f", "{{.State.Running}}", ...ids);
      expect(running.split("\n")).toEqual(services.map(() => "true"));
    }, 60_000);
    const containersMs = Date.now();
    const load = await eventually(() => project().load("api"), 60_000);
    await load.successes(1, 60_000);
    const trafficMs = firstSuccessAfter(load.sent, 0) ?? Number.NaN;
    await project().isWell();
    const readyMs = Date.now();
    await load.successes(80);
    const sent = await load.stop();
    console.log(
      `without live restore: engine answers after ${answersMs - startMs} ms, containers run after ${containersMs - startMs} ms, traffic ${Math.round(
        trafficMs - containersMs,
      )} ms and all ready ${readyMs - containersMs} ms later: ${describeLoad(sent)}`,
    );
    expect(sent.filter((one) => isSuccess(one) && one.name !== "api")).toEqual([]);
    expect(readyMs - containersMs).toBeLessThan(allReadyWithinMs * slack);
  });
});

describe("an engine behind a door", () => {
  const state: { door: TroubledEngine | null; forwarder: Forwarder | null; project: FaultProject | null } = {
    door: null,
    forwarder: null,
    project: null,
  };
  const project = (): FaultProject => state.project ?? expect.unreachable("the project is not up");

  beforeAll(async () => {
    state.door = await TroubledEngine.start();
    state.forwarder = await Forwarder.start(state.door.socket);
    const direct = "unix:///var/run/docker.sock";
    state.project = new FaultProject({ name: "slow", host: state.forwarder.url, direct });
    await project().up();
  });

  afterAll(async () => {
    if (state.door !== null) state.door.delayMs = 0;
    await state.project?.[Symbol.asyncDispose]();
    await state.forwarder?.[Symbol.asyncDispose]();
    await state.door?.[Symbol.asyncDispose]();
  });

  test("frozen for longer than every timeout it fails no request, and an edit is in force soon after", async () => {
    let inForceMs = 0;
    const { pay, api } = await project().underLoad(async (loads) => {
      state.forwarder?.freeze();
      try {
        const name = project().edit();
        await delay(frozenMs);
        state.forwarder?.thaw();
        const thawedMs = Date.now();
        inForceMs = Math.max(0, (await project().followed(loads.pay, name)) - thawedMs);
      } finally {
        state.forwarder?.thaw();
      }
    });
    console.log(`frozen ${frozenMs} ms: edit in force ${inForceMs} ms after: ${describeLoad(pay)}`);
    expect([...faultsOf(pay, names.pay, []), ...faultsOf(api, names.api, [])]).toEqual([]);
    await project().isWell();
  });

  test("with two seconds for each call a restarted container is attached in the time of its calls, and an edit is at once", async () => {
    const api = await project().container("api");
    const name = (await project().docker("inspect", "-f", "{{.Name}}", api)).slice(1);
    if (state.door !== null) state.door.delayMs = callDelayMs;
    let [attachedMs, inForceMs, fromMs] = [0, 0, 0];
    const { pay, api: sent } = await project().underLoad(async (loads) => {
      const version = project().edit();
      const editedMs = Date.now();
      inForceMs = Math.max(0, (await project().followed(loads.pay, version)) - editedMs);
      fromMs = Date.now();
      await project().docker("restart", "-t", "2", api);
      const since = Date.parse(await project().docker("inspect", "-f", "{{.State.StartedAt}}", api));
      await eventually(() => {
        const newest = loads.api.sent.slice(-40).filter((one) => one.start > since);
        if (!newest.some(({ host }) => host === api.slice(0, 12))) throw new Error("the replica answers nothing");
      }, 120_000);
      attachedMs = Date.now() - since;
    });
    if (state.door !== null) state.door.delayMs = 0;
    console.log(
      `${callDelayMs} ms for each call: edit in force ${inForceMs} ms after, attached ${attachedMs} ms after its start: ${describeLoad(sent)}`,
    );
    // Its peers are not told of its end for seconds, but they find it out.
    const fault = { names: name, fromMs, untilMs: Number.POSITIVE_INFINITY };
    expect([...faultsOf(pay, names.pay, []), ...faultsOf(sent, names.api, [fault])]).toEqual([]);
    expect(attachedMs).toBeLessThan(attachedSlowlyWithinMs * slack);
    await project().isWell();
  });
});
