// Wires the daemon: lock, state, Docker, the fleet and the loop. No logic of its own lives here.
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import type { Logger } from "pino";
import { holdsLock, type LockHolder, readLock, unlock } from "./api/lock.ts";
import { type DaemonOptions, daemonOptionsSchema } from "./api/options.ts";
import { type DaemonPaths, daemonPaths, makeRuntimeFolder } from "./api/paths.ts";
import { Problem } from "./api/problem.ts";
import { ApiServer } from "./api/server.ts";
import { Backend } from "./backend.ts";
import { createLogTap, type LogTap } from "./daemon-log.ts";
import { openForDown } from "./down.ts";
import { openLog } from "./log-file.ts";
import { openMesh } from "./mesh.ts";
import { openStartReporter, type StartReporter } from "./start-reporter.ts";
import { forgetState, makeRoom, removeStateFolder } from "./state/forget.ts";
import { StateWriter } from "./state/writer.ts";
import { takeLock } from "./take-lock.ts";

export interface DaemonParts {
  readonly options: DaemonOptions;
  readonly paths: DaemonPaths;
  readonly log: Logger;
  readonly reporter: StartReporter;
  readonly backend: Backend;
  readonly logTap: LogTap;
  /** Of all that is remembered for the next daemon. */
  readonly writer: StateWriter;
  /** Ends the daemon with this exit code. */
  end(code: number): void;
  /** Whether this is still the one daemon of the project: its state folder may have been removed, and another started. */
  isTheOne(): boolean;
  /** The whole mesh is gone: when the daemon has ended nothing of its state is kept. */
  onRemoved(): void;
}

/** Runs a daemon in this process until `down` or a signal. The exit code; never throws. */
export async function daemonMain(optionsJson: string): Promise<number> {
  const reporter = openStartReporter();
  try {
    const options = daemonOptionsSchema.parse(JSON.parse(optionsJson));
    return await runDaemon(options, reporter);
  } catch (error) {
    reporter.problem(error);
    return error instanceof Problem ? error.exitCode : 1;
  }
}

/** Resolves with the exit code when the daemon has ended. Throws Problem when it cannot start, with nothing changed. */
export async function runDaemon(options: DaemonOptions, reporter: StartReporter): Promise<number> {
  const paths = daemonPaths({ project: options.project, projectDir: options.projectDir });
  const taken = await takeLock(paths, options.version).catch(async (error: unknown) => {
    if (options.isOnlyDown !== true || !(error instanceof Problem) || error.code !== "DM0402") throw error;
    await makeRoom(paths);
    return takeLock(paths, options.version);
  });
  if (taken.kind === "running") {
    reporter.ready(taken.holder.pid, taken.holder.socket);
    return 0;
  }
  try {
    return await runLocked({ options, paths, reporter, own: taken.own });
  } finally {
    unlock(paths.lock, taken.own);
    await removeStateFolder(paths).catch(() => undefined);
  }
}

interface Locked extends Pick<DaemonParts, "options" | "paths" | "reporter"> {
  readonly own: LockHolder;
}

async function runLocked({ options, paths, reporter, own }: Locked): Promise<number> {
  makeRuntimeFolder(paths.runtimeFolder);
  const logTap = createLogTap();
  const log = openLog(paths.log, { level: process.env.DEVMESH_LOG_LEVEL ?? "info", onLine: logTap.push });
  const ended = Promise.withResolvers<number>();
  const stopListening = endOnSignals(log, ended.resolve);
  let isRemoved = false;
  const onRemoved = (): void => {
    isRemoved = true;
  };
  const backend = new Backend({ pid: process.pid, version: options.version, mesh: options.project });
  const writer = new StateWriter({
    onTrouble: (trouble) => {
      if (trouble === null) log.info("the state is written again");
      else log.error({ err: trouble }, "the state cannot be written; it is tried again");
      backend.changed();
    },
  });
  const api = await ApiServer.listen({
    socket: paths.socket,
    backend,
    onDown: () => ended.resolve(0),
    onError: (error, what) => log.error({ err: error, what }, "the API failed"),
  });
  try {
    log.info({ options }, "the daemon starts");
    // A signal during the start ends it as well.
    const open = options.isOnlyDown === true ? openForDown : openMesh;
    const isTheOne = (): boolean => holdsLock(paths.lock, own);
    const shared = { options, paths, log, logTap, writer, reporter, backend };
    const opening = open({ ...shared, end: ended.resolve, isTheOne, onRemoved });
    opening.catch(() => undefined);
    const early = await Promise.race([opening, ended.promise]);
    if (typeof early === "number") {
      await opening.then((mesh) => mesh.close()).catch(() => undefined);
      await writer.close();
      return early;
    }
    reporter.ready(own.pid, paths.socket);
    log.info({ ms: Math.round(performance.now()) }, "the daemon is ready");
    const code = await ended.promise;
    await early.close();
    await writer.close();
    log.info({ code }, "the daemon ends");
    if (isRemoved) await forgetState(paths, { isLogKept: false });
    return code;
  } catch (error) {
    log.error({ err: error }, "the daemon did not start");
    await writer.close();
    // Where no mesh was up before, none is now.
    if (!existsSync(paths.options)) await forgetState(paths, { isLogKept: true }).catch(() => undefined);
    throw error;
  } finally {
    stopListening();
    await api.close();
    // Where a successor has the lock, the socket is its own.
    const isSucceeded = readLock(paths.lock) !== null && !holdsLock(paths.lock, own);
    if (!paths.socket.startsWith("\\\\") && !isSucceeded) await rm(paths.socket, { force: true });
  }
}

/** SIGTERM and SIGINT end cleanly, the mesh serves on; a bug is logged and ends it too: any command revives the daemon. */
function endOnSignals(log: Logger, end: (code: number) => void): () => void {
  const onSignal = (): void => end(0);
  const onBug = (error: unknown): void => {
    log.fatal({ err: error }, "a bug ends the daemon");
    end(1);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  process.on("uncaughtException", onBug).on("unhandledRejection", onBug);
  // A closed terminal is none of the daemon's business.
  const ignore = (): void => undefined;
  process.on("SIGHUP", ignore).on("SIGPIPE", ignore);
  return () => {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal).off("SIGHUP", ignore).off("SIGPIPE", ignore);
    process.off("uncaughtException", onBug).off("unhandledRejection", onBug);
  };
}
