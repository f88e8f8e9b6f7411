// The TypeScript files of the repository and the edges between them.
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path/posix";
import { type Import, readImports } from "./read-imports.ts";

export const repository = join(import.meta.dirname, "../..");

/** Everything that ships, or stands in for what users ship. */
export const sourceFolders = ["cli", "daemon", "proxy", "sample-shop"] as const;

export interface SourceFile {
  /** From the repository's root: "daemon/spec/load.ts". */
  readonly path: string;
  readonly text: string;
}

export interface Edge {
  readonly from: string;
  /** A path from the repository's root, or a package's or built-in module's specifier; null where it is computed. */
  readonly to: string | null;
  readonly kind: Import["kind"];
  readonly line: number;
}

export function readSources(folders: readonly string[] = sourceFolders): SourceFile[] {
  return folders.flatMap((folder) =>
    readdirSync(join(repository, folder), { recursive: true, encoding: "utf8" })
      .map((name) => join(folder, name))
      .filter((path) => path.endsWith(".ts") && !path.split("/").includes("node_modules"))
      .sort()
      .map((path) => ({ path, text: readFileSync(join(repository, path), "utf8") })),
  );
}

export function edgesOf(files: readonly SourceFile[]): Edge[] {
  return files.flatMap(({ path, text }) =>
    readImports(text).map(({ specifier, kind, line }) => {
      const isRelative = specifier?.startsWith(".") === true;
      return { from: path, to: isRelative ? normalize(join(dirname(path), specifier)) : specifier, kind, line };
    }),
  );
}

/** True for paths in the repository, false for packages and built-in modules. */
export function isOwn(path: string): boolean {
  return path.endsWith(".ts") || path.startsWith("..");
}
