// Where things are in a checkout, and the Node that everything but these scripts runs on.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { SetupError } from "./step.mjs";

export const root = path.resolve(fileURLToPath(import.meta.url), "../../..");
export const dist = path.join(root, "dist");

/** Oldest Node that runs our TypeScript without a flag or a warning, for platforms that have no pinned package. */
const NODE_MAJOR_MIN = 24;

/** A file of its own for what a step's commands print; named when the step fails. */
export function logFile(name) {
  const folder = path.join(root, ".cache", "setup");
  mkdirSync(folder, { recursive: true });
  return path.join(folder, `${name}.log`);
}

/** The pinned Node of scripts/runtime; where its platform has none, the Node that runs this, if it is new enough. */
export function pinnedNode() {
  const folder = path.join(
    root,
    "node_modules",
    `node-${process.platform === "win32" ? "win" : process.platform}-${process.arch}`,
  );
  const binary = path.join(folder, "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(binary)) return binary;
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR_MIN) return process.execPath;
  throw new SetupError({
    what: `no pinned Node for ${process.platform}-${process.arch}, and this is Node ${process.versions.node}`,
    hint: `run this with Node ${NODE_MAJOR_MIN} or later`,
    exitCode: 4,
  });
}
