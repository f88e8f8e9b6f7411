// Names for completion, read from mesh.yaml and the compose files line by line: a parser takes 60 ms to load (measured), and a shell
// waits for this at every press of the Tab key. What is written in one line, `services: { ... }`, is not seen.
import { closeSync, openSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { discoverMeshFile } from "../daemon/spec/discover.ts";
import type { ProjectNames } from "./complete.ts";
import { usualComposeFiles } from "./compose.ts";

/** What is read of a file at most. */
const fileBytesMax = 256 * 1024;

interface Where {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Of the project in `cwd`; none where there is no file, or none that can be read. */
export function projectNames({ cwd, env }: Where): ProjectNames {
  const meshFile = (file: string | undefined): string | null => orNull(() => discoverMeshFile({ cwd, env, file }));
  return {
    services: (file) => {
      const mesh = meshFile(file);
      const compose = orNull(() => usualComposeFiles(mesh === null ? cwd : dirname(mesh), env)) ?? [];
      const files = mesh === null ? compose : [mesh, ...compose];
      return [...new Set(files.flatMap((path) => [...servicesIn(readStart(path)).keys()]))].sort();
    },
    versions: (file, service) => {
      const mesh = meshFile(file);
      return mesh === null ? [] : versionsIn(servicesIn(readStart(mesh)).get(service) ?? "");
    },
  };
}

/** Each key right below a `services:` at the margin, with the text that belongs to it. */
export function servicesIn(text: string): ReadonlyMap<string, string> {
  return keysBelow(/^()services:[ \t]*(?:#.*)?$/m, text);
}

/** The versions that a service's text lists under `versions:`, or in its `split:`. */
export function versionsIn(service: string): readonly string[] {
  const names = new Set<string>();
  for (const key of ["versions", "split"]) {
    for (const name of keysBelow(new RegExp(`^([ \\t]*)${key}:[ \\t]*(?:#.*)?$`, "m"), service).keys()) names.add(name);
    const inline = new RegExp(`(?:^|[{,\\s])${key}:[ \\t]*\\{(.*)`, "m").exec(service)?.[1] ?? "";
    for (const name of topKeys(inline)) names.add(name);
  }
  return [...names];
}

/** `opening` matches the line of the key above, its first group that line's indent. */
function keysBelow(opening: RegExp, text: string): Map<string, string> {
  const found = new Map<string, string>();
  const start = opening.exec(text);
  if (start === null) return found;
  const margin = start[1]?.length ?? 0;
  let indent: number | null = null;
  let last: string | null = null;
  for (const line of text.slice(start.index + start[0].length).split(/\r?\n/)) {
    if (/^\s*(#|$)/.test(line)) continue;
    const depth = line.length - line.trimStart().length;
    if (depth <= margin) break;
    indent ??= depth;
    const key = depth === indent ? /^\s*["']?([\w.-]+)["']?\s*:(.*)$/.exec(line) : null;
    last = key?.[1] ?? last;
    if (last !== null) found.set(last, `${found.get(last) ?? ""}${key === null ? line : ` ${key[2]}`}\n`);
  }
  return found;
}

/** Keys of a map in braces, from behind its first brace; what is nested in it is skipped. */
function topKeys(text: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  for (const [token, key] of text.matchAll(/([\w.-]+)\s*:|[{}]/g)) {
    if (token === "{") depth += 1;
    else if (token === "}") depth -= 1;
    else if (depth === 0 && key !== undefined) keys.push(key);
    if (depth < 0) break;
  }
  return keys;
}

function readStart(path: string): string {
  const file = orNull(() => openSync(path, "r"));
  if (file === null) return "";
  try {
    const buffer = Buffer.alloc(fileBytesMax);
    return buffer.toString("utf8", 0, orNull(() => readSync(file, buffer)) ?? 0);
  } finally {
    closeSync(file);
  }
}

/** Whatever is wrong, a shell that completes a word is no place to say it. */
function orNull<T>(read: () => T): T | null {
  try {
    return read();
  } catch {
    return null;
  }
}
