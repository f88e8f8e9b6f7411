// What goes into each image, and what it is therefore called: the same files give the same tag, so what is there is never built again.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { Problem } from "../../daemon/api/problem.ts";
import { packageFolder } from "../package-folder.ts";
import type { TarEntry } from "./tar.ts";

export type ImageName = "proxy" | "shop" | "redis";

export const imageNames: readonly ImageName[] = ["proxy", "shop", "redis"];

export interface Recipe {
  readonly name: ImageName;
  readonly tag: string;
  readonly files: readonly TarEntry[];
}

/** Where Docker Hub answers. A clone's set-up may have written another into dist/images.json, made from Debian packages. */
const publishedBase = "node:24-bookworm-slim";

const distFolder = join(packageFolder, "dist");
const composeFolder = join(packageFolder, "compose");

/** The image that ours are built on unless the command says otherwise. */
export function usualBase(): string {
  try {
    const images: unknown = JSON.parse(readFileSync(join(distFolder, "images.json"), "utf8"));
    if (images !== null && typeof images === "object" && "base" in images && typeof images.base === "string")
      return images.base;
  } catch {
    // An installed devmesh has no such file.
  }
  return publishedBase;
}

/** Throws Problem DM0403 where a part of the image is missing: a clone that was never built. */
export function recipeOf(name: ImageName): Recipe {
  const files = [entry("Dockerfile", partOf(join(composeFolder, `${name}.Dockerfile`))), ...contentOf(name)];
  const sum = createHash("sha256").update(`${usualBase()}\n`);
  // One tag for every platform: of the native parts only their version counts.
  const counted = files.filter((file) => !file.name.endsWith(".node"));
  for (const file of counted) sum.update(`${file.name} ${file.content.length}\n`).update(file.content);
  if (name === "proxy") sum.update(partOf(join(distFolder, "koffi", "version")));
  return { name, tag: `devmesh/${name}:${sum.digest("hex").slice(0, 12)}`, files };
}

function contentOf(name: ImageName): readonly TarEntry[] {
  switch (name) {
    case "proxy":
      return [aptInstall(), entry("proxy.mjs", partOf(join(distFolder, "proxy.mjs"))), ...nativeParts()];
    case "shop":
      return shopSources();
    case "redis":
      return [aptInstall()];
    default:
      return name satisfies never;
  }
}

/** koffi's, for each architecture that is there: one context builds for all of them. */
function nativeParts(): TarEntry[] {
  const folder = join(distFolder, "koffi");
  const platforms = existsSync(folder) ? readdirSync(folder).filter((name) => name.startsWith("linux-")) : [];
  return platforms.sort().map((platform) => {
    const name = `koffi/${platform}/koffi.node`;
    return entry(name, partOf(join(distFolder, name)));
  });
}

function shopSources(): TarEntry[] {
  const folder = join(packageFolder, "sample-shop");
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile() && /\.(ts|json)$/.test(one.name))
    .map((one) => relative(folder, join(one.parentPath, one.name)).replaceAll(sep, "/"))
    .sort()
    .map((name) => entry(`shop/${name}`, readFileSync(join(folder, name))));
}

function aptInstall(): TarEntry {
  return entry("apt-install.sh", partOf(join(composeFolder, "apt-install.sh")));
}

function partOf(path: string): Buffer {
  if (existsSync(path)) return readFileSync(path);
  throw new Problem("DM0403", `this devmesh is not complete: ${path} is missing`, "npm run setup makes it in a clone");
}

function entry(name: string, content: Buffer): TarEntry {
  return { name, mode: 0o644, content };
}
