// Installs packages and starts dockerd on Debian and Ubuntu as root; nothing else in this project changes the host.
import { spawn } from "node:child_process";
import { existsSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { logFile } from "./project.mjs";
import { capture, freshLog, logged, SetupError, say } from "./step.mjs";

const DOCKERD_LOG = "/var/log/devmesh-dockerd.log";
const ENGINE_WAIT_MS = 60_000;
/** For a mirror that falls silent. */
const PATIENCE = [
  "-o",
  "Acquire::Retries=3",
  "-o",
  "Acquire::http::Timeout=20",
  "-o",
  "Acquire::http::Pipeline-Depth=0",
];

/** True on Debian, Ubuntu and what calls itself like them, as root. */
export function canInstallDocker() {
  if (process.platform !== "linux" || process.getuid?.() !== 0) return false;
  try {
    return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync("/etc/os-release", "utf8"));
  } catch {
    return false;
  }
}

/** apt-get install, after an update whose failure is not ours to judge: a foreign repository may be down. */
export async function installPackages(packages, log) {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", NEEDRESTART_MODE: "l" };
  const update = {
    command: "apt-get",
    args: [...PATIENCE, "update", "-q"],
    env,
    log,
    what: "apt-get update failed",
    hint: "",
  };
  await logged(update).catch(() => say(`apt-get update had errors (${log}); trying with what is known`));
  await logged({
    command: "apt-get",
    args: [...PATIENCE, "install", "-qy", ...packages],
    env,
    log,
    what: `apt-get could not install ${packages.join(", ")}`,
    hint: `apt-get install ${packages.join(" ")}`,
    exitCode: 4,
  });
}

export async function installDocker(packages) {
  await installPackages(packages, freshLog(logFile("apt-get")));
}

/** Starts the engine, by systemd where it runs, else as a detached process, and waits until `answers()`. */
export async function startEngine(answers) {
  const isSystemd = existsSync("/run/systemd/system");
  if (isSystemd) await capture("systemctl", ["start", "docker"]);
  // The package's own start script may have been faster.
  if (await answers()) return;
  let ended = null;
  if (!isSystemd) {
    say(`starting dockerd, log in ${DOCKERD_LOG}`);
    const log = openSync(DOCKERD_LOG, "a");
    // `detached` is setsid: the engine outlives this process and its terminal.
    const child = spawn("dockerd", [], { detached: true, stdio: ["ignore", log, log], env: withSbin() });
    child.on("error", (error) => (ended = error.message));
    child.on("exit", (code, signal) => (ended = `dockerd ended (${signal ?? `exit code ${code}`})`));
    child.unref();
  }
  const deadline = performance.now() + ENGINE_WAIT_MS;
  while (!(await answers())) {
    if (ended === null && performance.now() < deadline) {
      await delay(200);
      continue;
    }
    throw new SetupError({
      what: ended ?? `the Docker engine did not answer within ${ENGINE_WAIT_MS / 1000} s`,
      log: isSystemd ? null : DOCKERD_LOG,
      hint: isSystemd ? "journalctl -u docker" : "look at the log, start dockerd, then run this again",
      exitCode: 4,
    });
  }
}

function withSbin() {
  return { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin` };
}
