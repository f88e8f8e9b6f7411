// Why a member of the group docker may still not use its socket.
import { readFileSync } from "node:fs";
import { userInfo } from "node:os";

export interface Groups {
  readonly user: string;
  /** Of this process. */
  readonly ids: readonly number[];
  /** group(5), or "". */
  readonly file: string;
}

export function ownGroups(env: NodeJS.ProcessEnv): Groups {
  const ids = [process.getgid?.() ?? -1, ...(process.getgroups?.() ?? [])];
  return { user: userName() ?? env.USER ?? "", ids, file: read("/etc/group") };
}

/** What to do where the user is in the group and this session is not; null elsewhere. */
export function groupHint({ user, ids, file }: Groups): string | null {
  const fields = file.split("\n").map((line) => line.split(":"));
  const [, , id, members] = fields.find(([name]) => name === "docker") ?? [];
  if (id === undefined || members?.split(",").includes(user) !== true || ids.includes(Number(id))) return null;
  return `${user} is in the group docker, but this session is older than that: log in again (or: newgrp docker)`;
}

function userName(): string | null {
  try {
    return userInfo().username;
  } catch {
    return null; // A uid without a line in /etc/passwd.
  }
}

function read(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // Not Linux.
  }
}
