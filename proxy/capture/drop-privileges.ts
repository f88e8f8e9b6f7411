// Gives up root for good, before the first byte of traffic, and proves it from what the kernel says.
import { readdirSync, readFileSync } from "node:fs";
import { proxyUid } from "./ports.ts";

/**
 * Becomes uid 1337 and the drawn group, without other groups and capabilities. Throws when anything is left; the caller must then exit.
 *
 * The bounding set (CapBnd) cannot be dropped from JavaScript and still names NET_ADMIN, SETUID and SETGID. It only limits
 * what an execve may gain, and with no-new-privileges an execve gains nothing: set-uid bits and file capabilities
 * are ignored. So it is harmless here, and no-new-privileges is required.
 */
export function dropPrivileges(group: number): void {
  const { setgroups, setgid, setuid } = process;
  if (setgroups === undefined || setgid === undefined || setuid === undefined) {
    throw new Error("privileges can only be dropped on Linux");
  }
  if (process.getuid?.() === 0) {
    setgroups([]);
    setgid(group);
    setuid(proxyUid);
  }
  const left = privilegesLeft(threadStatuses(), group);
  if (left.length > 0) throw new Error(`privileges are left after the drop: ${left.join(", ")}`);
}

/** What keeps a process from being harmless, by the text of its /proc/<pid>/status files. Empty: nothing. */
export function privilegesLeft(statuses: readonly string[], group: number): string[] {
  const left = new Set<string>();
  for (const status of statuses) {
    const field = (name: string): string =>
      new RegExp(`^${name}:[ \\t]*(.*)$`, "m").exec(status)?.[1]?.trim().replaceAll("\t", " ") ?? "missing";
    for (const name of ["CapInh", "CapPrm", "CapEff", "CapAmb"]) {
      if (!/^0+$/.test(field(name))) left.add(`${name} ${field(name)}`);
    }
    const ids = { Uid: proxyUid, Gid: group };
    for (const [name, id] of Object.entries(ids)) {
      if (field(name) !== `${id} ${id} ${id} ${id}`) left.add(`${name} ${field(name)}`);
    }
    if (!["", `${group}`].includes(field("Groups"))) left.add(`Groups ${field("Groups")}`);
    if (field("NoNewPrivs") !== "1") left.add("NoNewPrivs is not set (create the container with no-new-privileges)");
  }
  return [...left];
}

/** Identities and capabilities belong to threads on Linux: all of them are looked at. */
function threadStatuses(): string[] {
  return readdirSync("/proc/self/task").flatMap((thread) => {
    try {
      return [readFileSync(`/proc/self/task/${thread}/status`, "utf8")];
    } catch (error) {
      // A thread may end between the listing and the reading.
      if (error instanceof Error && "code" in error && (error.code === "ENOENT" || error.code === "ESRCH")) return [];
      throw error;
    }
  });
}
