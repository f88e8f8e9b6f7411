// Takes a container out of a network and leaves its /etc/hosts as it was before it joined.
import { inspectContainer } from "./containers.ts";
import type { PerformContext } from "./create-own.ts";
import { type Engine, isStatus } from "./engine.ts";
import { asRecord, asString, type Json } from "./json.ts";
import { disconnectContainer, inspectNetwork } from "./network.ts";
import { runOneShot } from "./one-shot.ts";
import { isWithin } from "./subnet.ts";

/** An archive of one file: a block for its head, its text, and at most what tar pads with. */
const archiveBytesMax = 2 * 1024 * 1024;
const blockBytes = 512;
/** What one argument of a command may hold, in base64. */
const linesBytesMax = 64 * 1024;

/**
 * Docker takes every line with the container's name out of /etc/hosts when it leaves any network, those of the networks that
 * it stays on too (measured with 20.10): `hostname -i` would then fail, or answer less. They are put back by a one-shot.
 */
export async function leaveNetwork(context: PerformContext, containerId: string, networkId: string): Promise<void> {
  const { engine } = context;
  const inspected = asRecord(await inspectContainer(engine, containerId));
  const network = await inspectNetwork(engine, networkId);
  const before = isRunning(inspected) ? await readHosts(engine, containerId) : null;
  await disconnectContainer(engine, networkId, containerId);
  // A stopped one gets a new file at its next start.
  const after = before === null ? null : await readHosts(engine, containerId);
  if (before === null || after === null) return;
  const lines = lostLines(before, after, network?.subnet ?? "");
  if (lines === "" || lines.length > linesBytesMax) return;
  try {
    await runOneShot(context, { kind: "add-hosts", containerId, lines });
  } catch (error) {
    if (await isSameRun(engine, inspected)) throw error; // Else it ended in the meantime, or has a new file already.
  }
}

/** False once the container that was inspected has ended, or was started again: with a namespace and files of its own. */
export async function isSameRun(engine: Engine, inspected: Json): Promise<boolean> {
  const now = asRecord(await inspectContainer(engine, asString(inspected.Id)));
  return isRunning(now) && asRecord(now.State).StartedAt === asRecord(inspected.State).StartedAt;
}

/**
 * Lines of `before` that `after` lacks, in their order, without those of the subnet that it leaves; latin1, each with its end. Not
 * of one address: a container that restarts meanwhile has another one than it had when it was inspected.
 */
export function lostLines(before: string, after: string, subnet: string): string {
  const left = after.split("\n");
  const lost = before.split("\n").filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0 && line.trim() !== "" && !isWithin(subnet, line.trim().split(/\s+/)[0] ?? "");
  });
  return lost.map((line) => `${line}\n`).join("");
}

/** Null when it cannot be read: the container is gone, or its engine has no such file. */
async function readHosts(engine: Engine, id: string): Promise<string | null> {
  const path = `/containers/${encodeURIComponent(id)}/archive`;
  try {
    const stream = await engine.stream({ method: "GET", path, query: { path: "/etc/hosts" } });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of stream) {
      chunks.push(chunk as Buffer);
      bytes += (chunk as Buffer).length;
      if (bytes > archiveBytesMax) return null;
    }
    return fileOf(Buffer.concat(chunks));
  } catch (error) {
    if (isStatus(error, 400, 404, 409, 500)) return null;
    throw error;
  }
}

/** The text of a tar archive's first file, latin1; null when it is none. */
function fileOf(archive: Buffer): string | null {
  const size = Number.parseInt(archive.toString("latin1", 124, 136), 8);
  const isWhole = Number.isInteger(size) && archive.length >= blockBytes + size;
  return isWhole ? archive.toString("latin1", blockBytes, blockBytes + size) : null;
}

function isRunning(inspected: Json): boolean {
  return asRecord(inspected.State).Running === true;
}
