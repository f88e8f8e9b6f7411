// Docker's container calls that devmesh uses, each with its time limit and with "it is so already" counted as done.
import { setTimeout as delay } from "node:timers/promises";
import { type Engine, EngineError, isStatus } from "./engine.ts";
import { asArray, asRecord, asString } from "./json.ts";

/** Creating, starting and connecting touch disks and bridges; a busy CI machine needs seconds. */
const changeTimeoutMs = 30_000;
/** On a busy machine the kernel sometimes does not stop all of a container's processes in time: then it is asked again. */
const freezeAttemptsMax = 5;
const freezeAgainMs = 20;
/** Beyond the grace that a stop gives the container. */
const stopMarginMs = 15_000;

export type Filters = Readonly<Record<string, readonly string[]>>;

export interface ExecSpec {
  readonly command: readonly string[];
  /** "1337:1337" */
  readonly user: string;
  readonly hasStdin: boolean;
}

const container = (id: string) => `/containers/${encodeURIComponent(id)}`;

/** Ids of all containers, stopped ones too, that match every filter. */
export async function listContainerIds(engine: Engine, filters: Filters): Promise<string[]> {
  const list = await engine.call({ method: "GET", path: "/containers/json", query: { all: true, filters } });
  return asArray(list).map((item) => asString(asRecord(item).Id));
}

/** Docker's JSON, or null when there is no such container. */
export async function inspectContainer(engine: Engine, id: string, signal?: AbortSignal): Promise<unknown> {
  return orNull(engine.call({ method: "GET", path: `${container(id)}/json`, ...(signal && { signal }) }));
}

/** The new id. Throws EngineError: 404 without the image, 409 when the name is taken. */
export async function createContainer(engine: Engine, name: string, body: object): Promise<string> {
  const path = "/containers/create";
  const answer = await engine.call({ method: "POST", path, query: { name }, body, timeoutMs: changeTimeoutMs });
  return asString(asRecord(answer).Id);
}

export async function startContainer(engine: Engine, id: string): Promise<void> {
  await engine.call({ method: "POST", path: `${container(id)}/start`, timeoutMs: changeTimeoutMs });
}

/** SIGTERM, and after `graceS` seconds SIGKILL. One that does not run or is gone is fine. */
export async function stopContainer(engine: Engine, id: string, graceS: number): Promise<void> {
  const timeoutMs = graceS * 1000 + stopMarginMs;
  await orNull(engine.call({ method: "POST", path: `${container(id)}/stop`, query: { t: graceS }, timeoutMs }));
}

/** SIGTERM, and waits until it has ended, at most for `graceMs`. One that does not run or is gone is fine. */
export async function terminateContainer(engine: Engine, id: string, graceMs: number): Promise<void> {
  try {
    await engine.call({ method: "POST", path: `${container(id)}/kill`, query: { signal: "SIGTERM" } });
    await waitContainer(engine, id, "not-running", graceMs);
  } catch (error) {
    const isOver = isStatus(error, 404, 409, 500) || (error instanceof EngineError && error.code === "ETIMEDOUT");
    if (!isOver) throw error;
  }
}

/** Kills it when it runs, takes its anonymous volumes along, and waits out a removal that is under way. */
export async function removeContainer(engine: Engine, id: string): Promise<void> {
  const query = { force: true, v: true };
  try {
    await orNull(engine.call({ method: "DELETE", path: container(id), query, timeoutMs: changeTimeoutMs }));
  } catch (error) {
    if (!isStatus(error, 409)) throw error;
    await waitContainer(engine, id, "removed", changeTimeoutMs);
  }
}

/** False when it did not run, or was paused already. */
export async function pauseContainer(engine: Engine, id: string): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await engine.call({ method: "POST", path: `${container(id)}/pause`, timeoutMs: changeTimeoutMs });
      return true;
    } catch (error) {
      const isTooBusy = isStatus(error, 500) && /unable to freeze/i.test(String(error));
      // 20.10 says 500 for "is not running", later ones 409.
      if (!isTooBusy && isStatus(error, 404, 409, 500)) return false;
      if (!isTooBusy || attempt >= freezeAttemptsMax) throw error;
      await delay(freezeAgainMs);
    }
  }
}

/** One that is not paused, not running or gone is fine; throws when it is still paused afterwards. */
export async function unpauseContainer(engine: Engine, id: string): Promise<void> {
  try {
    await engine.call({ method: "POST", path: `${container(id)}/unpause`, timeoutMs: changeTimeoutMs });
  } catch (error) {
    if (!isStatus(error, 404, 409, 500)) throw error;
    const state = asRecord(asRecord(await inspectContainer(engine, id)).State);
    if (state.Paused === true) throw error;
  }
}

/** The exit code. "removed" waits until it is gone; a container that is gone counts as 0. */
export async function waitContainer(
  engine: Engine,
  id: string,
  condition: "not-running" | "removed",
  timeoutMs: number,
): Promise<number> {
  const call = { method: "POST", path: `${container(id)}/wait`, query: { condition }, timeoutMs } as const;
  const answer = asRecord(await orNull(engine.call(call)));
  return typeof answer.StatusCode === "number" ? answer.StatusCode : 0;
}

/** The exec's id. Throws EngineError 409 when the container is paused or does not run. */
export async function createExec(engine: Engine, id: string, spec: ExecSpec): Promise<string> {
  const body = {
    Cmd: spec.command,
    User: spec.user,
    AttachStdin: spec.hasStdin,
    AttachStdout: true,
    AttachStderr: true,
    Tty: false,
  };
  const answer = await engine.call({ method: "POST", path: `${container(id)}/exec`, body });
  return asString(asRecord(answer).Id);
}

async function orNull(call: Promise<unknown>): Promise<unknown> {
  try {
    return await call;
  } catch (error) {
    if (isStatus(error, 404)) return null;
    throw error;
  }
}
