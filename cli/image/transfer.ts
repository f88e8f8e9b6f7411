// An image as a file, for machines without a registry.
import { stat } from "node:fs/promises";
import { Problem } from "../../daemon/api/problem.ts";
import { version } from "../version.ts";
import { versionLabel } from "./build.ts";
import { docker, hasImage, lastLines } from "./docker.ts";
import type { Recipe } from "./recipe.ts";
import { readTarFile } from "./tar.ts";

export async function saveImages(recipes: readonly Recipe[], file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { code, output } = await docker({ args: ["save", "-o", file, ...recipes.map(({ tag }) => tag)], env });
  if (code !== 0) throw new Problem("DM0001", `docker save failed: ${lastLines(output, 1)}`, "see the message above");
}

/** Loads `file` when it holds the images that this devmesh needs; else throws Problem DM0403, and changes nothing. */
export async function loadImages(recipes: readonly Recipe[], file: string, env: NodeJS.ProcessEnv): Promise<void> {
  const found = await stat(file).catch(() => null);
  if (found?.isFile() !== true) {
    throw new Problem("DM0403", `${file} is no file`, "name what `devmesh image save` wrote");
  }
  const held = await readHeld(file);
  const needed = recipes.map(({ tag }) => tag);
  // A compressed file is not looked into; the engine unpacks it.
  if (held !== null) assertHolds(file, held, needed);
  const { code, output } = await docker({ args: ["load", "-q", "-i", file], env });
  if (code !== 0) throw new Problem("DM0403", `docker load failed: ${lastLines(output, 1)}`, "save it anew");
  for (const tag of needed) {
    if (await hasImage(tag, env)) continue;
    throw new Problem("DM0403", `${file} does not hold ${tag}, which devmesh ${version} needs`, saveHint);
  }
}

interface Held {
  readonly tags: readonly string[];
  /** Of the devmesh that built it; null: it does not say. */
  readonly version: string | null;
}

const saveHint = `save it with the same version on the other machine: npm install -g devmesh@${version}, then devmesh image save`;

function assertHolds(file: string, held: Held, needed: readonly string[]): void {
  const missing = needed.filter((tag) => !held.tags.includes(tag));
  if (missing.length === 0) return;
  const from = held.version === null ? "" : ` of devmesh ${held.version}`;
  const what = held.tags.length === 0 ? "no tagged image" : `${held.tags.join(", ")}${from}`;
  throw new Problem("DM0403", `${file} holds ${what}; devmesh ${version} needs ${missing.join(", ")}`, saveHint);
}

async function readHeld(file: string): Promise<Held | null> {
  const manifest = await readTarFile(file, "manifest.json");
  if (manifest === null) return null;
  try {
    const images = JSON.parse(manifest.toString("utf8")) as { Config?: string; RepoTags?: string[] | null }[];
    const config = await readTarFile(file, images[0]?.Config ?? "");
    const labels = config === null ? {} : (JSON.parse(config.toString("utf8")).config?.Labels ?? {});
    return { tags: images.flatMap(({ RepoTags }) => RepoTags ?? []), version: labels[versionLabel] ?? null };
  } catch {
    // No manifest of Docker's: let the engine say what it thinks of the file.
    return null;
  }
}
