// Containers that do one thing in an application's namespace and go.
import { removeContainer, startContainer, waitContainer } from "./containers.ts";
import { createOwn, type PerformContext } from "./create-own.ts";
import { readLogTail } from "./logs.ts";
import { type OneShot, oneShotSpec } from "./own-spec.ts";

/** It runs nft or edits one file. */
const oneShotTimeoutMs = 15_000;

/** Runs it to its end and removes it. Throws with its last words when it fails. Its id. */
export async function runOneShot(context: PerformContext, oneShot: OneShot): Promise<string> {
  const { engine } = context;
  const id = await createOwn(context, oneShotSpec(context, oneShot));
  try {
    await startContainer(engine, id);
    const code = await waitContainer(engine, id, "not-running", oneShotTimeoutMs);
    if (code !== 0) throw new Error(`${oneShot.kind} ended with ${code}: ${await readLogTail(engine, id)}`);
    return id;
  } finally {
    await removeContainer(engine, id);
  }
}
