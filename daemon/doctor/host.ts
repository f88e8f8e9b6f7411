// The checks that need no Docker: Node, compose, and the folder for devmesh's state.
import { existsSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Finding, fail, formatBytes, ok, warn } from "./finding.ts";

const nodeMajorMin = 22;
/** A mesh's state takes some 100 kB, its daemon's log at most a few MB. */
const stateBytesWanted = 50 * 1000 * 1000;
/** What a first write needs; a file system may say that there is room and have none. */
const trialBytes = 256 * 1024;

export function checkNode(version: string): Finding {
  const what = `Node ${version.replace(/^v/, "")}`;
  if (Number.parseInt(version.replace(/^v/, ""), 10) >= nodeMajorMin) return ok("node", what);
  return fail("node", `${what} is too old`, `install Node ${nodeMajorMin} or later`);
}

/** `found`: "docker compose 2.20.3", or null. */
export function checkCompose(found: string | null): Finding {
  if (found !== null) return ok("compose", found);
  const hint = "sudo apt-get install docker-compose-plugin (Docker's packages) or docker-compose (Debian's)";
  return warn(
    "compose",
    "neither docker compose nor docker-compose is there: only up --no-compose works",
    process.platform === "linux" ? hint : "install Docker Desktop, or docker compose by itself",
  );
}

/** Writes where a mesh would, and takes it away again; makes no folder that was not there. */
export function checkStateFolder(folder: string): Finding {
  const there = nearestThere(folder);
  const elsewhere = "or set XDG_STATE_HOME to a folder that you can write";
  try {
    const trial = mkdtempSync(join(there, ".devmesh-doctor-"));
    try {
      writeFileSync(join(trial, "trial"), Buffer.alloc(trialBytes), { flush: true });
    } finally {
      rmSync(trial, { recursive: true, force: true });
    }
    const { bavail, bsize } = statfsSync(there);
    const free = bavail * bsize;
    const what = `the state folder ${folder} can be written, ${formatBytes(free)} free`;
    return free < stateBytesWanted
      ? warn("state-folder", what, `free some space, ${elsewhere}`)
      : ok("state-folder", what);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    const what = `the state folder ${folder} cannot be written: ${isFull ? "no space is left" : code}`;
    const mend = isFull ? `df -h ${there} shows what is full` : `ls -ld ${there} shows whose it is`;
    return fail("state-folder", what, `${mend}; mend that, ${elsewhere}`);
  }
}

function nearestThere(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestThere(dirname(folder));
}
