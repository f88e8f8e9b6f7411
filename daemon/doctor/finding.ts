// What a check found, in the words that are printed. Checks return it; none of them throws for what it finds.

export interface Finding {
  /** Stable: scripts may look for it. docs/cli.md lists them. */
  readonly id: CheckId;
  readonly status: "ok" | "warn" | "fail";
  readonly what: string;
  /** What to do, as a command where there is one; "" when it is ok. */
  readonly hint: string;
}

export const checkIds = [
  "node",
  "compose",
  "state-folder",
  "docker",
  "docker-api",
  "docker-kind",
  "clock",
  "image",
  "subnet",
  "leftovers",
  "pair",
  "pause",
  "rules",
  "ipv6",
  "capture",
  "inbound",
  "peers",
  "dns",
  "docker-disk",
] as const;

export type CheckId = (typeof checkIds)[number];

export function ok(id: CheckId, what: string): Finding {
  return { id, status: "ok", what, hint: "" };
}

export function warn(id: CheckId, what: string, hint: string): Finding {
  return { id, status: "warn", what, hint };
}

export function fail(id: CheckId, what: string, hint: string): Finding {
  return { id, status: "fail", what, hint };
}

const units = ["B", "kB", "MB", "GB", "TB"] as const;

/** "12 GB" */
export function formatBytes(bytes: number): string {
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  return `${Math.round(bytes / 1000 ** power)} ${units[power]}`;
}
