// Turns what kept us from the engine into a Problem that says what to do next, with the exact commands.
import { Problem } from "../api/problem.ts";
import type { Endpoint, Env } from "./endpoint.ts";

/** 19.03: the log driver `local` (18.09) and all that attachment needs. */
export const apiVersionMin = "1.40";
/** The newest API whose answers we read; a newer engine is asked in this one. */
export const apiVersionMax = "1.47";

/** The lower of both. Throws Problem DM0103 when there is none that both speak. */
export function negotiateVersion(answer: Readonly<Record<string, unknown>>, endpoint: Endpoint): string {
  const engine = typeof answer.ApiVersion === "string" ? answer.ApiVersion : "";
  const engineMin = typeof answer.MinAPIVersion === "string" ? answer.MinAPIVersion : apiVersionMin;
  if (!/^\d+\.\d+$/.test(engine)) {
    throw new Problem("DM0101", `${endpoint.url} answers, but not as Docker does`, `it comes from ${endpoint.source}`);
  }
  if (compareVersions(engine, apiVersionMin) < 0) {
    const message = `the Docker engine at ${endpoint.url} is too old: its API is ${engine}, devmesh needs ${apiVersionMin}`;
    throw new Problem("DM0103", message, "install Docker 19.03 or later; 20.10 or later is better");
  }
  if (compareVersions(engineMin, apiVersionMax) > 0) {
    const message = `the Docker engine at ${endpoint.url} is too new: it speaks API ${engineMin} and up, devmesh ${apiVersionMax}`;
    throw new Problem("DM0103", message, "update devmesh");
  }
  return compareVersions(engine, apiVersionMax) < 0 ? engine : apiVersionMax;
}

export function compareVersions(a: string, b: string): number {
  const [aMajor = 0, aMinor = 0] = a.split(".").map(Number);
  const [bMajor = 0, bMinor = 0] = b.split(".").map(Number);
  return aMajor - bMajor || aMinor - bMinor;
}

export function noAnswerProblem(platform: NodeJS.Platform): Problem {
  return new Problem("DM0101", "no Docker engine was found", startHint(platform));
}

export function unreachableProblem(
  failure: { endpoint: Endpoint; error: Error & { code: string } },
  platform: NodeJS.Platform,
  env: Env,
): Problem {
  const { endpoint, error } = failure;
  if (error.code === "EACCES" || error.code === "EPERM") {
    const user = env.USER || "$USER";
    const hint = `sudo usermod -aG docker ${user}, then log in again (or: newgrp docker)`;
    return new Problem("DM0102", `no permission to use Docker at ${endpoint.url}`, hint);
  }
  const reason = { ENOENT: "there is no such socket", ECONNREFUSED: "nothing listens there", ETIMEDOUT: "no answer" };
  const why = reason[error.code as keyof typeof reason] ?? error.message.replace(/^GET \/version: /, "");
  const isChosen = endpoint.source !== "the usual sockets";
  const message = `no Docker engine answers at ${endpoint.url}${isChosen ? ` (from ${endpoint.source})` : ""}: ${why}`;
  if (endpoint.kind === "tcp" && isAboutTls(error)) return new Problem("DM0101", message, tlsHint);
  return new Problem("DM0101", message, isChosen ? chosenHint(endpoint) : startHint(platform));
}

const tlsHint =
  "its certificates lie in DOCKER_CERT_PATH or in the context: ca.pem that signed the engine's, cert.pem and key.pem of your own";

/** Node's codes of what a certificate lacks, OpenSSL's alerts, and what an engine says to plain HTTP. */
function isAboutTls({ code, message }: { readonly code: string; readonly message: string }): boolean {
  return /CERT|_SSL_|_TLS_|VERIFY_LEAF/.test(code) || /HTTP request to an HTTPS server/.test(message);
}

/** Who chose the endpoint of a mesh that is up: whatever the environment says now, it stays there. */
export const ofThisMesh = "the engine of this mesh";

function chosenHint(endpoint: Endpoint): string {
  if (endpoint.source === ofThisMesh) return "start it again: a mesh stays with the engine that it was started on";
  if (endpoint.source === "DOCKER_HOST") return "unset DOCKER_HOST uses the engine of this machine";
  return "docker context use default uses the engine of this machine";
}

function startHint(platform: NodeJS.Platform): string {
  if (platform === "darwin") return "open -a Docker (or: colima start)";
  if (platform === "win32") return "start Docker Desktop";
  return "sudo systemctl start docker (a rootless one: systemctl --user start docker); to install it on Debian or Ubuntu: sudo apt-get install -y docker.io";
}
