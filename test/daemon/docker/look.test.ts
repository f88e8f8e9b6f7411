import { describe, expect, test } from "vitest";
import { changedSince, readLook } from "../../../daemon/docker/look.ts";
import { Untold } from "../../../daemon/docker/untold.ts";

interface Listed {
  readonly state?: string;
  readonly status?: string;
  readonly address?: string;
}

function listed({ state = "running", status = "Up 5 seconds", address = "10.0.0.2" }: Listed = {}): unknown {
  const networks = { shop: { NetworkID: "n1", IPAddress: address } };
  return [{ Id: "api", State: state, Status: status, NetworkSettings: { Networks: networks } }];
}

describe("changedSince", () => {
  test.for<[string, Listed | null, Listed | null, boolean]>([
    ["nothing but time has passed", {}, { status: "Up 6 seconds" }, false],
    ["time in larger units", { status: "Up 59 seconds" }, { status: "Up About a minute" }, false],
    ["minutes to an hour", { status: "Up 59 minutes" }, { status: "Up About an hour" }, false],
    ["hours to days", { status: "Up 47 hours" }, { status: "Up 2 days" }, false],
    ["an end grows older", exited(5), exited(6), false],
    ["started anew within a second", {}, { status: "Up Less than a second" }, true],
    ["started anew after long", { status: "Up 3 weeks" }, { status: "Up 1 second" }, true],
    ["started anew after a minute", { status: "Up About a minute" }, { status: "Up 2 seconds" }, true],
    ["it ended", {}, exited(1), true],
    ["it was paused", {}, { state: "paused", status: "Up 6 seconds (Paused)" }, true],
    ["its health changed", health("health: starting"), health("healthy"), true],
    ["another address", {}, { address: "10.0.0.3" }, true],
    ["it went", {}, null, true],
    ["it came", null, {}, true],
  ])("%s", ([, before, now, isChanged]) => {
    const look = (one: Listed | null) => readLook([one === null ? [] : listed(one), []]);
    expect(changedSince(look(before), look(now))).toEqual(isChanged ? ["api"] : []);
  });

  test("a container that several lists name is one, and what is no list is none", () => {
    expect([...readLook([listed(), listed(), null, "OK"]).keys()]).toEqual(["api"]);
  });
});

function exited(seconds: number): Listed {
  return { state: "exited", status: `Exited (0) ${seconds} seconds ago`, address: "" };
}

function health(text: string): Listed {
  return { status: `Up 2 minutes (${text})` };
}

describe("Untold", () => {
  test("a change that an event tells of before or after the look is not lost", () => {
    const untold = new Untold();
    untold.told("a");
    expect(untold.look(["a", "b"])).toBe(false);
    untold.told("b");
    expect(untold.look([])).toBe(false);
  });

  test("one that is not told by the next look is lost, and the stream is not opened anew at every look", () => {
    const untold = new Untold();
    const looks = Array.from({ length: 8 }, (_, i) => untold.look([`c${i}`]));
    expect(looks).toEqual([false, true, false, false, false, false, false, true]);
  });
});
