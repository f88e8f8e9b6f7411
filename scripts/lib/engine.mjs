// Finds the Docker engine that DOCKER_HOST, the current context or the usual sockets give, and the compose command.
import { accessSync, constants, existsSync } from "node:fs";
import { homedir } from "node:os";
import path from "node:path";
import { canInstallDocker, installDocker, startEngine } from "./install-docker.mjs";
import { capture, SetupError, say } from "./step.mjs";

/** Where other flavours than Debian's put the engine's socket, tried when the current context does not answer. */
const usualSockets = [
  "/var/run/docker.sock",
  process.env.XDG_RUNTIME_DIR && path.join(process.env.XDG_RUNTIME_DIR, "docker.sock"),
  path.join(homedir(), ".docker/run/docker.sock"),
  path.join(homedir(), ".colima/default/docker.sock"),
  path.join(homedir(), ".orbstack/run/docker.sock"),
  path.join(homedir(), ".rd/docker.sock"),
].filter((socket) => typeof socket === "string");

const pluginFolders = [
  path.join(homedir(), ".docker/cli-plugins"),
  "/usr/local/lib/docker/cli-plugins",
  "/usr/local/libexec/docker/cli-plugins",
  "/usr/lib/docker/cli-plugins",
  "/usr/libexec/docker/cli-plugins",
];

/** The engine, installed and started where that is allowed: { version, arch, compose, summary }. */
export async function engineStep() {
  let engine = await findEngine();
  if (engine.kind !== "running" || engine.compose === null) {
    const wasRunning = engine.kind === "running";
    if (!canInstallDocker() || (!wasRunning && process.env.DOCKER_HOST)) throw cannotGoOn(engine);
    await provide(engine);
    engine = await findEngine();
    if (engine.kind !== "running" || engine.compose === null) throw cannotGoOn(engine);
  }
  return { ...engine, summary: `engine ${engine.version} on ${engine.arch}, ${engine.compose}` };
}

async function provide(engine) {
  const packages = [];
  if (engine.kind !== "running") {
    if (!isInPath("docker") || !isInPath("dockerd")) packages.push("docker.io");
    if (!isInPath("iptables")) packages.push("iptables");
  }
  if (engine.compose === null) packages.push("docker-compose");
  if (packages.length > 0) {
    say(
      `${engine.kind === "running" ? "No compose command" : "No Docker engine answers"}: installing ${packages.join(", ")} with apt-get`,
    );
    await installDocker(packages);
  }
  if (engine.kind !== "running") await startEngine(async () => (await findEngine()).kind === "running");
}

/** { kind: "running", version, arch, compose } | { kind: "denied" | "silent" | "missing", detail, compose } */
async function findEngine() {
  const compose = findCompose();
  const first = await ask(process.env);
  if (first.kind === "running" || process.env.DOCKER_HOST) return { ...first, compose };
  for (const socket of usualSockets) {
    if (!existsSync(socket)) continue;
    const host = `unix://${socket}`;
    const other = await ask({ ...process.env, DOCKER_HOST: host });
    if (other.kind !== "running") continue;
    // Everything that this process starts talks to the engine that was found.
    process.env.DOCKER_HOST = host;
    return { ...other, compose };
  }
  return { ...first, compose };
}

async function ask(env) {
  const { code, stdout, stderr } = await capture("docker", ["info", "--format", "{{json .}}"], { env });
  if (code === 127) return { kind: "missing", detail: "the docker command is not there" };
  const info = parse(stdout);
  if (typeof info?.ServerVersion === "string" && info.ServerVersion !== "") {
    const arch =
      { x86_64: "x64", amd64: "x64", aarch64: "arm64", arm64: "arm64" }[info.Architecture] ?? info.Architecture;
    return { kind: "running", version: info.ServerVersion, arch, os: info.OSType };
  }
  const detail =
    [...(info?.ServerErrors ?? []), stderr.trim()].join(" ").trim() || `docker info ended with code ${code}`;
  return { kind: /permission denied/i.test(detail) ? "denied" : "silent", detail };
}

function findCompose() {
  if (
    pluginFolders.some((folder) =>
      existsSync(path.join(folder, process.platform === "win32" ? "docker-compose.exe" : "docker-compose")),
    )
  )
    return "docker compose";
  return isInPath("docker-compose") ? "docker-compose" : null;
}

function cannotGoOn(engine) {
  const start = {
    missing:
      "install Docker (https://docs.docker.com/engine/install/), for example: sudo apt-get install docker.io iptables docker-compose",
    silent: process.env.DOCKER_HOST
      ? `start the engine behind DOCKER_HOST=${process.env.DOCKER_HOST}, or unset DOCKER_HOST`
      : "start Docker: sudo systemctl start docker (Linux), or open Docker Desktop",
    denied: `give your user access: sudo usermod -aG docker ${process.env.USER ?? "$USER"} && newgrp docker`,
    running:
      "install compose: sudo apt-get install docker-compose (or docker-compose-plugin from Docker's own repository)",
  };
  return new SetupError({
    what: engine.kind === "running" ? "there is no compose command" : `no Docker engine answers: ${engine.detail}`,
    hint: `${start[engine.kind]}; then run this again`,
    exitCode: 4,
  });
}

function isInPath(name) {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), "/usr/sbin", "/sbin"];
  return folders.some((folder) => {
    try {
      accessSync(path.join(folder, process.platform === "win32" ? `${name}.exe` : name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
