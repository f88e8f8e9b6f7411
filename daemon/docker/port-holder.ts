// Who has a port of the host: a container by what the engine lists, else a process of this machine by /proc.
import { readdir, readFile, readlink } from "node:fs/promises";
import type { Engine } from "./engine.ts";
import { asArray, asRecord, asString, asTexts } from "./json.ts";
import { composeLabel } from "./labels.ts";

/** TCP_LISTEN in /proc/net/tcp. */
const listening = "0A";

/** " by the container shop_web_1 of the project shop", " by nginx (process 812)", or "" where it cannot be told. Never throws. */
export async function describePortHolder(engine: Engine, port: number): Promise<string> {
  const container = await containerOn(engine, port).catch(() => null);
  if (container !== null) return ` by the container ${container}`;
  // Another user's processes show no sockets, other systems have no /proc.
  const found = engine.isLocal ? await processOn(port).catch(() => null) : null;
  return found === null ? "" : ` by ${found}`;
}

async function containerOn(engine: Engine, port: number): Promise<string | null> {
  const list = asArray(await engine.call({ method: "GET", path: "/containers/json" })).map(asRecord);
  const holder = list.find(({ Ports }) => asArray(Ports).some((one) => asRecord(one).PublicPort === port));
  const name = asString(asArray(holder?.Names)[0]).replace(/^\//, "");
  const project = asTexts(holder?.Labels)[composeLabel.project];
  return name === "" ? null : `${name}${project === undefined ? "" : ` of the project ${project}`}`;
}

async function processOn(port: number): Promise<string | null> {
  const tables = await Promise.all(["/proc/net/tcp", "/proc/net/tcp6"].map((file) => readFile(file, "utf8")));
  const sockets = new Set(tables.flatMap((table) => listenersIn(table, port)).map((inode) => `socket:[${inode}]`));
  if (sockets.size === 0) return null;
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    if (!(await hasOneOf(pid, sockets))) continue;
    return `${(await readFile(`/proc/${pid}/comm`, "utf8")).trim()} (process ${pid})`;
  }
  return null;
}

/** Inodes; proc(5): the fields are sl, local_address, rem_address, st, …, the inode is the tenth. */
export function listenersIn(table: string, port: number): string[] {
  const rows = table.split("\n").map((line) => line.trim().split(/\s+/));
  return rows.flatMap(([, local = "", , state, , , , , , inode]) => {
    const isIt = state === listening && Number.parseInt(local.split(":")[1] ?? "", 16) === port;
    return isIt && inode !== undefined ? [inode] : [];
  });
}

async function hasOneOf(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  try {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      if (sockets.has(await readlink(`/proc/${pid}/fd/${fd}`))) return true;
    }
    return false;
  } catch {
    return false; // It ended meanwhile, or is not ours to look into.
  }
}
