// The npm packages of package-lock.json, installed when they are missing or older than the lock.
import { createHash } from "node:crypto";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { logFile, root } from "./project.mjs";
import { freshLog, logged } from "./step.mjs";

const stampFile = path.join(root, "node_modules", ".devmesh-stamp");

/** Returns a summary for the step's line. */
export async function installDependencies() {
  const wanted = lockHash();
  if (readIfThere(stampFile) === wanted) return "up to date";
  if (readIfThere(stampFile) === null && npmInstalledAfterLock()) {
    writeFileSync(stampFile, wanted);
    return "installed by npm";
  }
  rmSync(stampFile, { force: true });
  await npmCi();
  writeFileSync(stampFile, wanted);
  return "npm ci";
}

// Install scripts are left out: every native package that we use comes prebuilt, and the ones that would
// compile (cpu-features, under ssh2) are optional and cost half a minute.
// The level is given because `npm test --silent` hands its own down, and a failure would leave an empty log.
async function npmCi() {
  const args = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=notice"];
  const script = process.env.npm_execpath;
  const isNpm = script !== undefined && /npm-cli\.[cm]?js$/.test(script);
  await logged({
    command: isNpm ? process.execPath : process.platform === "win32" ? "npm.cmd" : "npm",
    args: isNpm ? [script, ...args] : args,
    cwd: root,
    log: freshLog(logFile("npm-ci")),
    what: "npm ci failed",
    hint: "see the log; behind a proxy set HTTPS_PROXY, with an own CA set NODE_EXTRA_CA_CERTS, then run this again",
  });
}

function lockHash() {
  const hash = createHash("sha256");
  for (const file of ["package.json", "package-lock.json", "scripts/runtime/package.json"]) {
    hash.update(readFileSync(path.join(root, file)));
  }
  return hash.update(`${process.platform}-${process.arch}`).digest("hex");
}

// npm writes this file last, so its time tells that an `npm install` by hand is complete and newer than the lock.
function npmInstalledAfterLock() {
  const hidden = statSync(path.join(root, "node_modules", ".package-lock.json"), { throwIfNoEntry: false });
  return hidden !== undefined && hidden.mtimeMs >= statSync(path.join(root, "package-lock.json")).mtimeMs;
}

function readIfThere(file) {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return null;
    throw error;
  }
}
