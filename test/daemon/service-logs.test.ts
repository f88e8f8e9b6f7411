// What `devmesh logs` shows, from an engine that a test plays.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { LogLine, LogQuery } from "../../daemon/api/messages.ts";
import { compile } from "../../daemon/compile/compile.ts";
import { createLogTap } from "../../daemon/daemon-log.ts";
import { connectEngine } from "../../daemon/docker/engine.ts";
import type { World } from "../../daemon/docker/world.ts";
import { serviceLogs } from "../../daemon/service-logs.ts";
import { defaultSpec } from "../../daemon/spec/defaults.ts";
import { eventually } from "../support/eventually.ts";
import { json, startFakeEngine } from "./docker/fake-engine.ts";
import { container, sidecarOf, world } from "./support.ts";

const api = container("api");
const web = container("web");
const mute = container("mute");
const all: LogQuery = { service: null, isFollowed: true, tail: null, since: null };

/** Docker's multiplexed form of one line. */
function framed(second: number, text: string): Buffer {
  const line = Buffer.from(`2026-01-01T00:00:${String(second).padStart(2, "0")}.000000000Z ${text}\n`);
  const head = Buffer.alloc(8);
  head.writeUInt8(1, 0);
  head.writeUInt32BE(line.length, 4);
  return Buffer.concat([head, line]);
}

async function setUp(now: World, log: readonly object[] = []) {
  const state = { world: now };
  const streams = new Map<string, ServerResponse[]>();
  const ids = [api, web].flatMap((one) => [one.id, sidecarOf(one).id]);
  const answers = ids.flatMap((id) => [
    [`/containers/${id}/json`, json({ Id: id, Config: {} })] as const,
    [
      `/containers/${id}/logs`,
      (response: ServerResponse) => {
        response.writeHead(200).flushHeaders();
        streams.set(id, [...(streams.get(id) ?? []), response]);
      },
    ] as const,
  ]);
  const fake = await startFakeEngine({
    ...Object.fromEntries(answers),
    [`/containers/${mute.id}/json`]: json({ Id: mute.id, Config: {} }),
    [`/containers/${mute.id}/logs`]: json({ message: "its logging driver does not support reading" }, 501),
  });
  const engine = await connectEngine(fake.env);
  const folder = mkdtempSync(join(tmpdir(), "dm-logs-"));
  const file = join(folder, "daemon.log");
  writeFileSync(file, log.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const listeners = new Set<() => void>();
  const tap = createLogTap();
  const stop = new AbortController();
  onTestFinished(async () => {
    stop.abort();
    await engine.close();
    await fake.close();
    rmSync(folder, { recursive: true });
  });
  const lines: LogLine[] = [];
  const follow = async (query: Partial<LogQuery>): Promise<void> => {
    const deps = {
      engine,
      daemon: { file, tap },
      place: () => ({ compiled: compiled(state.world), world: state.world }),
      onChange: (listener: () => void) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    };
    for await (const line of serviceLogs(deps, { ...all, ...query }, stop.signal)) lines.push(line);
  };
  const change = (next: World): void => {
    state.world = next;
    for (const listener of listeners) listener();
  };
  const opened = (id: string, nth = 0): Promise<ServerResponse> =>
    eventually(() => {
      const stream = streams.get(id)?.[nth];
      if (stream === undefined) throw new Error(`the log of ${id} has not been asked for ${nth + 1} times`);
      return stream;
    });
  const asked = (id: string) => fake.requests.filter(({ pathname }) => pathname.endsWith(`/${id}/logs`));
  return { lines, follow, change, opened, asked, tap, stop, listeners };
}

function compiled(now: World) {
  const readySidecars = new Set<string>();
  const names = { project: "shop", meshName: "shop", knownServices: null };
  return compile({ spec: defaultSpec, world: now, readySidecars, addresses: new Map(), ...names });
}

test("one service's log has its sidecar's lines, and nobody else's", async () => {
  const { follow, opened, lines, asked, stop } = await setUp(world([api, web], [sidecarOf(api), sidecarOf(web)]));
  const following = follow({ service: "api" });
  (await opened(api.id)).write(framed(1, "hello"));
  (await opened(sidecarOf(api).id)).write(framed(2, "GET / 200"));
  await eventually(() => expect(lines).toHaveLength(2));
  expect(lines.map(({ source, service, text }) => [source, service, text]).sort()).toEqual([
    ["app", "api", "hello"],
    ["sidecar", "api", "GET / 200"],
  ]);
  expect([...asked(web.id), ...asked(sidecarOf(web).id)]).toEqual([]);
  stop.abort();
  await following;
});

test("a container that starts later is followed too, and a restarted one from where it was", async () => {
  const { follow, opened, lines, asked, change } = await setUp(world([api]));
  void follow({ tail: 5 });
  (await opened(api.id)).write(framed(1, "first"));
  change(world([api, web]));
  (await opened(web.id)).write(framed(2, "late"));
  await eventually(() => expect(lines.map(({ text }) => text)).toEqual(["first", "late"]));
  // The last lines are asked of what was there; of the new one everything.
  expect([asked(api.id)[0]?.searchParams.get("tail"), asked(web.id)[0]?.searchParams.get("tail")]).toEqual([
    "5",
    "all",
  ]);
  (await opened(api.id)).end();
  change(world([{ ...api, state: "exited" }, web]));
  await eventually(() => {
    change(world([api, web]));
    expect(asked(api.id)).toHaveLength(2);
  });
  expect(asked(api.id)[1]?.searchParams.get("since")).toBe("1767225601.000000000");
  const again = await opened(api.id, 1);
  again.write(framed(1, "first"));
  again.write(framed(3, "second"));
  await eventually(() => expect(lines.at(-1)?.text).toBe("second"));
  expect(lines.filter(({ text }) => text === "first")).toHaveLength(1);
  expect(asked(web.id)).toHaveLength(1);
});

test("the daemon's own log is there, of the daemons before too, and goes on", async () => {
  const kept = [
    { level: 30, time: "2026-01-01T00:00:01.000Z", pid: 1, msg: "the daemon starts" },
    {
      level: 40,
      time: "2026-01-01T00:00:02.000Z",
      pid: 2,
      proxy: "shop api",
      err: { message: "no", stack: "x" },
      msg: "slow",
    },
  ];
  const { follow, lines, tap, listeners } = await setUp(world([]), kept);
  void follow({ since: "2026-01-01T00:00:02Z" });
  await eventually(() => expect(lines).toHaveLength(1));
  expect(lines[0]).toMatchObject({ source: "daemon", text: 'warn slow proxy="shop api" err="no"' });
  tap.push('{"level":30,"time":"2026-01-01T00:00:03.000Z","pid":2,"msg":"done","ms":5}\n');
  tap.push("what a full disk has c");
  await eventually(() => expect(lines.map(({ text }) => text)).toContain("info done ms=5"));
  expect(listeners.size).toBe(1);
});

test("without following it ends with what is there, and listens to nothing", async () => {
  const kept = ["one", "two", "three"].map((msg) => ({ level: 30, time: "2026-01-01T00:00:01.000Z", msg }));
  const { follow, lines, listeners } = await setUp(world([]), kept);
  await follow({ isFollowed: false, tail: 2 });
  expect(lines.map(({ text }) => text)).toEqual(["info two", "info three"]);
  expect(listeners.size).toBe(0);
});

test.each([
  ["a service that does not exist", { service: "ap" }, /there is no service ap/],
  ["a time that is none", { since: "yesterday" }, /yesterday is not a time/],
])("%s is a problem", async (_why, query, message) => {
  const { follow } = await setUp(world([api]));
  await expect(follow(query)).rejects.toMatchObject({ code: "DM0002", message: expect.stringMatching(message) });
});

test("a log that Docker cannot give is said once, and does not end the others", async () => {
  const { follow, opened, lines, change, asked } = await setUp(world([api, mute]));
  void follow({});
  (await opened(api.id)).write(framed(1, "hello"));
  await eventually(() => expect(lines).toHaveLength(2));
  change(world([api, mute, web]));
  (await opened(web.id)).write(framed(1, "late"));
  await eventually(() => expect(lines).toHaveLength(3));
  expect(lines.find(({ service }) => service === "mute")?.text).toContain("does not support reading");
  expect(asked(mute.id)).toHaveLength(1);
});
