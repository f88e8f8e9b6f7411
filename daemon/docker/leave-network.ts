// Takes a container out of a network and leaves its /etc/hosts as it was before it joined.
import { inspectContainer } from "./containers.ts";
import type { PerformContext } from "./create-own.ts";
import { type Engine, isStatus } from "./engine.ts";
import { asRecord, asString } from "./json.ts";
import { disconnectContainer } from "./network.ts";
import { runOneShot } from "./one-shot.ts";

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
  const before = isRunning(inspected) ? await readHosts(engine, containerId) : null;
  await disconnectContainer(engine, networkId, containerId);
  // A stopped one gets a new file at its next start.
  const after = before === null ? null : await readHosts(engine, containerId);
  if (before === null || after === null) return;
  const lines = lostLines(before, after, addressOn(inspected, networkId));
  if (lines === "" || lines.length > linesBytesMax) return;
  try {
    await runOneShot(context, { kind: "add-hosts", containerId, lines });
  } catch (error) {
    if (isRunning(asRecord(await inspectContainer(engine, containerId)))) throw error; // Else it ended in the meantime.
  }
}

/** Lines of `before` that `after` lacks, in their order, without those of `address`; latin1, each with its end. */
export function lostLines(before: string, after: string, address: string): string {
  const left = after.split("\n");
  const lost = before.split("\n").filter((line) => {
    const at = left.indexOf(line);
    if (at >= 0) left.splice(at, 1);
    return at < 0 && line.trim() !== "" && line.split(/\s+/)[0] !== address;
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

function isRunning(inspected: Readonly<Record<string, unknown>>): boolean {
  return asRecord(inspected.State).Running === true;
}

function addressOn(inspected: Readonly<Record<string, unknown>>, networkId: string): string {
  const endpoints = Object.values(asRecord(asRecord(inspected.NetworkSettings).Networks)).map(asRecord);
  return asString(endpoints.find((endpoint) => endpoint.NetworkID === networkId)?.IPAddress);
}
