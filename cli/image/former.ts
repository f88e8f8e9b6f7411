// Images of former builds of this same devmesh, which nobody would ever remove otherwise.
import { packageFolder } from "../package-folder.ts";
import { homeLabel } from "./build.ts";
import { docker } from "./docker.ts";

export interface ListedImage {
  readonly tag: string;
  readonly createdAtMs: number;
}

/** A younger one stays: another checkout may have found it there by its contents, and be about to use it. */
const keptMs = 24 * 60 * 60 * 1000;

/** Those that are old and not in use by this devmesh. Pure. */
export function formerImages(
  images: readonly ListedImage[],
  { current, now }: { readonly current: ReadonlySet<string>; readonly now: number },
): readonly string[] {
  return images.filter(({ tag, createdAtMs }) => !current.has(tag) && now - createdAtMs > keptMs).map(({ tag }) => tag);
}

/** How many were removed. What a container uses stays: the engine refuses, since nothing is forced. */
export async function removeFormerImages(current: ReadonlySet<string>, env: NodeJS.ProcessEnv): Promise<number> {
  const filters = ["--filter", `label=${homeLabel}=${packageFolder}`];
  const format = "{{.Repository}}:{{.Tag}} {{.CreatedAt}}";
  const { code, stdout } = await docker({ args: ["image", "ls", ...filters, "--format", format], env });
  if (code !== 0) return 0;
  let removed = 0;
  for (const tag of formerImages(readListing(stdout), { current, now: Date.now() })) {
    if ((await docker({ args: ["image", "rm", tag], env })).code === 0) removed += 1;
  }
  return removed;
}

/** Lines such as `devmesh/proxy:0123456789ab 2026-11-30 12:30:01 +0000 UTC`; others than our names are left out. */
export function readListing(text: string): readonly ListedImage[] {
  const pattern = /^(devmesh\/(?:proxy|shop|redis):[0-9a-f]{12}) (\S+) (\S+) ([+-]\d\d)(\d\d)/gm;
  return [...text.matchAll(pattern)].map(([, tag = "", day, time, hours, minutes]) => ({
    tag,
    createdAtMs: Date.parse(`${day}T${time}${hours}:${minutes}`),
  }));
}
