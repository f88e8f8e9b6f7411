import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { findDaemon, replaceStale } from "../../../daemon/api/find-daemon.ts";
import {
  isAlive,
  killStale,
  type LockHolder,
  readLock,
  startTimeOf,
  tryLock,
  unlock,
} from "../../../daemon/api/lock.ts";
import { type DaemonPaths, daemonPaths } from "../../../daemon/api/paths.ts";
import { eventually } from "../../support/eventually.ts";

let folder: string;
let paths: DaemonPaths;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "lock-"));
  paths = daemonPaths({ project: "shop", projectDir: folder, env: { XDG_STATE_HOME: folder } });
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const self = (): LockHolder => holderOf(process.pid);
const holderOf = (pid: number): LockHolder => ({
  pid,
  startTime: startTimeOf(pid),
  socket: join(folder, "s"),
  version: "0.1.0",
});

async function child(): Promise<ChildProcess & { pid: number }> {
  const started = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  await once(started, "spawn");
  onTestFinished(() => {
    started.kill("SIGKILL");
  });
  return started as ChildProcess & { pid: number };
}

test("the first takes the lock, the second learns who holds it, and after unlock it is free", async () => {
  const other = holderOf((await child()).pid);
  expect(tryLock(paths.lock, other)).toBeNull();
  expect(tryLock(paths.lock, self())).toEqual(other);
  unlock(paths.lock, self());
  expect(readLock(paths.lock)).toEqual(other);
  unlock(paths.lock, other);
  expect(tryLock(paths.lock, self())).toBeNull();
  expect(await readdir(paths.stateFolder)).toEqual(["lock.json"]);
});

test("the lock of a process that died is taken over", async () => {
  const dead = await child();
  expect(tryLock(paths.lock, holderOf(dead.pid))).toBeNull();
  dead.kill("SIGKILL");
  await once(dead, "exit");
  expect(tryLock(paths.lock, self())).toBeNull();
  expect(readLock(paths.lock)?.pid).toBe(process.pid);
});

test("a reused pid is not taken for the holder", async () => {
  const other = await child();
  expect(tryLock(paths.lock, { ...holderOf(other.pid), startTime: "another boot 1" })).toBeNull();
  expect(tryLock(paths.lock, self())).toBeNull();
});

test("a damaged lock file is replaced", async () => {
  expect(tryLock(paths.lock, self())).toBeNull();
  await writeFile(paths.lock, '{"pid":');
  expect(tryLock(paths.lock, self())).toBeNull();
});

test("of many who start at once over a dead holder's lock exactly one gets it", async () => {
  const dead = await child();
  tryLock(paths.lock, holderOf(dead.pid));
  dead.kill("SIGKILL");
  await once(dead, "exit");
  const script = `
    const { tryLock, startTimeOf } = await import(process.argv[1]);
    const own = { pid: process.pid, startTime: startTimeOf(process.pid), socket: "s", version: "1" };
    console.log(tryLock(process.argv[2], own) === null ? "mine" : "held");
    setInterval(() => {}, 1000);`;
  const lockModule = new URL("../../../daemon/api/lock.ts", import.meta.url).href;
  const answers = await Promise.all(
    Array.from({ length: 4 }, async () => {
      const one = spawn(process.execPath, ["--input-type=module", "-e", script, lockModule, paths.lock]);
      onTestFinished(() => {
        one.kill("SIGKILL");
      });
      const [chunk] = await once(one.stdout, "data");
      return String(chunk).trim();
    }),
  );
  expect(answers.sort()).toEqual(["held", "held", "held", "mine"]);
});

test("a stopped process is ended, one of another start time is left alone", async () => {
  const stopped = await child();
  const holder = holderOf(stopped.pid);
  stopped.kill("SIGSTOP");
  expect(await killStale({ ...holder, startTime: "another boot 1" })).toBe(true);
  expect(isAlive(holder)).toBe(true);
  expect(await killStale(holder)).toBe(true);
  expect(isAlive(holder)).toBe(false);
});

test("a daemon is absent without a lock and with a dead holder", async () => {
  expect(await findDaemon(paths)).toEqual({ kind: "absent" });
  const dead = await child();
  tryLock(paths.lock, holderOf(dead.pid));
  dead.kill("SIGKILL");
  await eventually(async () => expect(await findDaemon(paths)).toEqual({ kind: "absent" }));
});

test("a daemon that accepts and never answers is hung, and replaceStale ends it", async () => {
  const silent = createServer((socket) => socket.on("error", () => socket.destroy()));
  silent.listen(join(folder, "s"));
  await once(silent, "listening");
  onTestFinished(() => {
    silent.close();
  });
  const hung = await child();
  const holder = holderOf(hung.pid);
  tryLock(paths.lock, holder);
  const found = await findDaemon(paths, 100);
  expect(found).toEqual({ kind: "hung", holder });
  await replaceStale(holder);
  expect(await findDaemon(paths, 100)).toEqual({ kind: "absent" });
});
