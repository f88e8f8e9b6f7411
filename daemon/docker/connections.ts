// The TCP connections that a running container has open, read from this machine's /proc: nothing is started in the container.
import { readFile } from "node:fs/promises";
import { inspectContainer } from "./containers.ts";
import type { Engine } from "./engine.ts";
import { asRecord } from "./json.ts";

export interface OpenConnection {
  readonly localPort: number;
  /** IPv4 in dotted form where it is one, also from the IPv6 table. */
  readonly remoteAddress: string;
  readonly remotePort: number;
}

/** Established, loopback aside. Null where it cannot be told: a remote engine, one in a VM, a process that has ended. */
export async function openConnections(engine: Engine, containerId: string): Promise<readonly OpenConnection[] | null> {
  if (!engine.isLocal) return null;
  const state = asRecord(asRecord(await inspectContainer(engine, containerId)).State);
  const pid = typeof state.Pid === "number" ? state.Pid : 0;
  if (pid <= 0) return null;
  try {
    // An engine in a VM speaks of its own processes: this one must be the container's.
    const cgroup = await readFile(`/proc/${pid}/cgroup`, "utf8");
    if (!cgroup.includes(containerId)) return null;
    const tables = await Promise.all(["tcp", "tcp6"].map((name) => readFile(`/proc/${pid}/net/${name}`, "utf8")));
    return tables.flatMap(establishedIn);
  } catch {
    return null;
  }
}

/** TCP_ESTABLISHED in /proc/net/tcp. */
const established = "01";

/** proc(5): the fields are sl, local_address, rem_address, st, …; addresses are words in the machine's byte order. */
export function establishedIn(table: string): readonly OpenConnection[] {
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([, local = "", remote = "", state]) => {
    if (state !== established) return [];
    const remoteAddress = addressOf(remote.split(":")[0] ?? "");
    if (remoteAddress.startsWith("127.") || remoteAddress === "::1") return [];
    return [{ localPort: portOf(local), remoteAddress, remotePort: portOf(remote) }];
  });
}

function portOf(text: string): number {
  return Number.parseInt(text.split(":")[1] ?? "", 16);
}

function addressOf(hex: string): string {
  const words = hex.match(/.{8}/g) ?? [];
  const bytes = Buffer.concat(words.map((word) => Buffer.from(word, "hex").reverse()));
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.subarray(0, 12).equals(Buffer.from("00000000000000000000ffff", "hex"));
  if (isMapped) return bytes.subarray(12).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}
