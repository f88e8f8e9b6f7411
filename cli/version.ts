// devmesh's version, from the package that this file belongs to.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packageFolder } from "./package-folder.ts";

export const version: string = readVersion();

function readVersion(): string {
  const parsed: unknown = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8"));
  if (parsed !== null && typeof parsed === "object" && "version" in parsed && typeof parsed.version === "string")
    return parsed.version;
  return "0.0.0";
}
