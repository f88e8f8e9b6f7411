// devmesh's version, from the package that this file belongs to.
import { readFileSync } from "node:fs";
import { join } from "node:path";

export const version: string = readVersion();

function readVersion(): string {
  // The bundle lies in dist/, this file in cli/: package.json is one folder up from both.
  const parsed: unknown = JSON.parse(readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8"));
  if (parsed !== null && typeof parsed === "object" && "version" in parsed && typeof parsed.version === "string")
    return parsed.version;
  return "0.0.0";
}
