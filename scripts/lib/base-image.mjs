// The image that the Dockerfiles start from: Docker Hub's where it answers, else the same made from Debian packages.
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { canInstallDocker, installPackages } from "./install-docker.mjs";
import { logFile, root } from "./project.mjs";
import { capture, freshLog, logged, SetupError, say } from "./step.mjs";

const REGISTRY = "https://registry-1.docker.io/v2/";
const REGISTRY_WAIT_MS = 3_000;
const SUITE = "bookworm";
const DEFAULT_MIRROR = "http://deb.debian.org/debian";

/** What the command line builds on where nobody says otherwise, too. */
const PUBLISHED = "node:24-bookworm-slim";

/** What local bases are called: a hash of all that goes in, apart from the packages' own versions. */
function localBases(arch) {
  const debian = hash("debian-3", SUITE, arch);
  const node = hash(debian, readFileSync(path.join(root, "scripts/runtime/package.json")), nodeDockerfile());
  return { debian: `devmesh/base:${debian}`, node: `devmesh/node:${node}` };
}

/** Makes sure that a base is there, and answers which: what is there already, the registry, the local build. */
export async function provideBase(engine, images) {
  const local = localBases(engine.arch);
  const provided = { name: local.node, isLocal: true };
  if (images.has(PUBLISHED)) return { name: PUBLISHED, isLocal: false };
  if (images.has(local.node)) return provided;
  if (await registryAnswers()) {
    try {
      await pull(PUBLISHED);
      return { name: PUBLISHED, isLocal: false };
    } catch (error) {
      // A registry that answers this host may still refuse the engine: rate limits, the engine's own proxy.
      if (!(error instanceof SetupError) || !canBuild(engine)) throw error;
      say(`docker pull failed (${error.log}); building the base from Debian packages`);
    }
  }
  if (!canBuild(engine)) {
    throw new SetupError({
      what: "no registry answers, and a base image is built only as root on Debian or Ubuntu of the engine's architecture",
      hint: `load the images on this machine: docker load, or docker pull ${PUBLISHED}; then run this again`,
      exitCode: 4,
    });
  }
  if (!images.has(local.debian)) await bootstrapDebian(local.debian);
  await addNode(local);
  return provided;
}

async function registryAnswers() {
  try {
    // 401 is the registry's usual first word; any answer will do.
    await fetch(REGISTRY, { signal: AbortSignal.timeout(REGISTRY_WAIT_MS) });
    return true;
  } catch {
    return false;
  }
}

function canBuild(engine) {
  return canInstallDocker() && process.arch === engine.arch && existsSync(nodeBinary(engine.arch));
}

async function pull(image) {
  const log = freshLog(logFile("docker-pull"));
  await logged({
    command: "docker",
    args: ["pull", image],
    log,
    what: `docker pull ${image} failed`,
    hint: `docker pull ${image}`,
  });
}

async function bootstrapDebian(tag) {
  const log = freshLog(logFile("debootstrap"));
  const hasDebootstrap =
    existsSync("/usr/sbin/debootstrap") && existsSync("/usr/share/keyrings/debian-archive-keyring.gpg");
  if (!hasDebootstrap) await installPackages(["debootstrap", "debian-archive-keyring"], log);
  const mirror = await debianMirror();
  const folder = mkdtempSync(path.join("/var/tmp", "devmesh-debootstrap-"));
  const hint = "see the log; a mirror of your own goes into DEVMESH_DEBIAN_MIRROR";
  try {
    await logged({
      command: "debootstrap",
      args: ["--variant=minbase", SUITE, folder, mirror],
      env: { ...process.env, PATH: `${process.env.PATH ?? ""}:/usr/sbin:/sbin`, LC_ALL: "C" },
      log,
      what: "debootstrap failed",
      hint,
    });
    slim(folder, mirror);
    const changes = ['CMD ["bash"]', "ENV LANG=C.UTF-8", "LABEL dev.devmesh.image=base"].flatMap((line) => [
      "--change",
      line,
    ]);
    await logged({
      command: "bash",
      args: [
        "-c",
        'set -o pipefail; tar -C "$0" --numeric-owner -c . | docker import "$@"',
        folder,
        ...changes,
        "-",
        tag,
      ],
      log,
      what: "docker import of the Debian base failed",
      hint,
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// What Debian's own slim images leave out, and the security suite, which debootstrap does not write.
function slim(folder, mirror) {
  for (const waste of [
    "var/cache/apt/archives",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "var/log",
  ]) {
    const full = path.join(folder, waste);
    for (const name of existsSync(full) ? readdirSync(full) : []) rmSync(path.join(full, name), { recursive: true });
  }
  const security = `${mirror.replace(/\/debian\/?$/, "")}/debian-security`;
  const lines = [`deb ${mirror} ${SUITE} main`, `deb ${mirror} ${SUITE}-updates main`];
  if (/\/debian\/?$/.test(mirror)) lines.push(`deb ${security} ${SUITE}-security main`);
  writeFileSync(path.join(folder, "etc/apt/sources.list"), `${lines.join("\n")}\n`);
  writeFileSync(
    path.join(folder, "etc/apt/apt.conf.d/90slim"),
    'Acquire::Languages "none";\nAPT::Install-Recommends "false";\n',
  );
}

async function debianMirror() {
  if (process.env.DEVMESH_DEBIAN_MIRROR) return process.env.DEVMESH_DEBIAN_MIRROR;
  const format = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Origin: Debian", "Label: Debian"];
  const { stdout } = await capture("apt-get", format);
  return (
    stdout
      .split("\n")
      .find((line) => /^https?:/.test(line))
      ?.replace(/\/$/, "") ?? DEFAULT_MIRROR
  );
}

async function addNode(local) {
  const folder = path.dirname(nodeBinary(process.arch));
  await logged({
    command: "docker",
    args: [
      "build",
      "--build-arg",
      `BASE=${local.debian}`,
      "-t",
      local.node,
      "-f",
      path.join(root, "compose/node.Dockerfile"),
      folder,
    ],
    log: freshLog(logFile("image-node")),
    what: "the image with the pinned Node could not be built",
    hint: "see the log, then run this again",
  });
}

function nodeBinary(arch) {
  return path.join(root, "node_modules", `node-linux-${arch}`, "bin/node");
}

function nodeDockerfile() {
  return readFileSync(path.join(root, "compose/node.Dockerfile"));
}

function hash(...parts) {
  const sum = createHash("sha256");
  for (const part of parts) sum.update(part).update("\n");
  return sum.digest("hex").slice(0, 12);
}
