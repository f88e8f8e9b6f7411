import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { readLock, unlock } from "../../daemon/api/lock.ts";
import { daemonPaths } from "../../daemon/api/paths.ts";
import { Backend } from "../../daemon/backend.ts";
import { createClosers } from "../../daemon/closers.ts";
import { createEventLog, eventsMax } from "../../daemon/event-log.ts";
import { assertHostPortIsFree } from "../../daemon/host-port.ts";
import { openLog } from "../../daemon/log-file.ts";
import { MetricsDoor } from "../../daemon/metrics-door.ts";
import { defaultSpec } from "../../daemon/spec/defaults.ts";
import { inForceRecord, readInForce } from "../../daemon/state/in-force.ts";
import { openPauseJournal } from "../../daemon/state/pause-journal.ts";
import { writeJson } from "../../daemon/state/store.ts";
import { StateWriter } from "../../daemon/state/writer.ts";
import { takeLock } from "../../daemon/take-lock.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "parts-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

test("what is paused is known to the next daemon, and what was released is not", async () => {
  const file = join(folder, "paused.json");
  const writer = new StateWriter();
  const journal = await openPauseJournal(file, writer);
  await Promise.all(["a", "b", "c"].map((id) => journal.add(id)));
  await journal.remove("b");
  expect(await (await openPauseJournal(file, writer)).list()).toEqual(["a", "c"]);
});

test("what is in force is read back by the same version only", async () => {
  const file = join(folder, "in-force.json");
  const inForce = { mesh: "shop", spec: { ...defaultSpec, mtls: "strict" as const } };
  await writeJson(file, inForceRecord("1.0.0", inForce));
  expect(await readInForce(file, "1.0.0")).toMatchObject(inForce);
  expect(await readInForce(file, "1.0.1")).toBeNull();
});

test("the log is bounded: two files, and no line is cut", async () => {
  const file = join(folder, "daemon.log");
  const log = openLog(file, { bytesMax: 5_000 });
  for (let i = 0; i < 200; i++) log.info({ i }, "a line of some length, again and again");
  const [current, previous] = await Promise.all([readFile(file, "utf8"), readFile(`${file}.1`, "utf8")]);
  expect(current.length).toBeLessThanOrEqual(5_000);
  expect(previous.length).toBeLessThanOrEqual(5_000);
  const lines = `${previous}${current}`.trim().split("\n");
  expect(lines.map((line) => JSON.parse(line).i)).toEqual(lines.map((_, at) => 200 - lines.length + at));
  expect((await stat(file)).mode & 0o077).toBe(0);
});

test("the last hundred events are kept, a repeated sentence once", () => {
  const events = createEventLog(() => 0);
  for (let i = 0; i < 150; i++) events.add(`event ${i}`);
  events.add("event 149");
  expect(events.list()).toHaveLength(eventsMax);
  expect(events.list().at(-1)).toEqual({ at: "1970-01-01T00:00:00.000Z", text: "event 149" });
});

test("parts close newest first, and one that fails stops no other", async () => {
  const closed: string[] = [];
  const errors: unknown[] = [];
  const closers = createClosers((error) => errors.push(error));
  closers.add(() => closed.push("first"));
  closers.add(() => {
    throw new Error("stuck");
  });
  closers.add(async () => closed.push("last"));
  await closers.close();
  expect(closed).toEqual(["last", "first"]);
  expect(errors).toEqual([new Error("stuck")]);
});

test("a busy host port is told before anything is created", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  await expect(assertHostPortIsFree("127.0.0.1", port)).rejects.toMatchObject({ code: "DM0401" });
  await expect(assertHostPortIsFree("0.0.0.0", port)).rejects.toMatchObject({ code: "DM0401" });
  await expect(assertHostPortIsFree("127.0.0.1", 0)).resolves.toBeUndefined();
});

test("the metrics listener follows the Spec, and a taken port ends nothing", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const free = createServer().listen(0, "127.0.0.1");
  await once(free, "listening");
  const [takenPort, freePort] = [taken, free].map((server) => (server.address() as AddressInfo).port);
  await new Promise((resolve) => free.close(resolve));
  const problems: unknown[] = [];
  const door = new MetricsDoor(
    async () => ({ contentType: "text/plain", text: "up 1\n" }),
    (error) => problems.push(error),
  );
  onTestFinished(async () => {
    await door.close();
    taken.close();
  });
  door.set({ host: "127.0.0.1", port: takenPort ?? 0 });
  door.set({ host: "127.0.0.1", port: freePort ?? 0 });
  await expect.poll(() => fetch(`http://127.0.0.1:${freePort}/metrics`).then((r) => r.text())).toBe("up 1\n");
  expect(problems).toMatchObject([{ code: "DM0401" }]);
  door.set(null);
  await expect.poll(() => fetch(`http://127.0.0.1:${freePort}/metrics`).catch(() => "closed")).toBe("closed");
});

test("a daemon that starts answers pings, and says of the rest that it is starting", async () => {
  const backend = new Backend({ pid: 1, version: "0.1.0", mesh: "shop" });
  expect(backend.ping().pid).toBe(1);
  expect(() => backend.status()).toThrow(expect.objectContaining({ code: "DM0201" }));
  await expect(backend.metrics()).rejects.toMatchObject({ code: "DM0201" });
});

test("a damaged lock file does not keep a daemon from starting", async () => {
  const paths = daemonPaths({ project: "p", projectDir: folder, env: { XDG_STATE_HOME: folder } });
  const first = await takeLock(paths, "0.1.0");
  expect(first.kind).toBe("taken");
  await writeFile(paths.lock, "nonsense");
  const second = await takeLock(paths, "0.1.0");
  if (second.kind !== "taken") throw new Error("not taken");
  expect(readLock(paths.lock)?.pid).toBe(process.pid);
  unlock(paths.lock, second.own);
  expect(readLock(paths.lock)).toBeNull();
});
