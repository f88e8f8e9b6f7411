// Reads what the user wrote, as often as the loop asks: the same text gives the same value, so a change is easy to see.
import { basename, isAbsolute, join, relative } from "node:path";
import { defaultSpec } from "./spec/defaults.ts";
import { specFileNames } from "./spec/discover.ts";
import { loadSpec } from "./spec/load.ts";
import type { LoadedSpec } from "./spec/spec.ts";
import { readSpecText } from "./spec/spec-text.ts";

export interface SpecSourceOptions {
  readonly projectDir: string;
  /** Null: mesh.yaml and its other names in the project's folder, when one appears. */
  readonly meshFile: string | null;
}

export class SpecSource {
  /** Absolute paths to watch. */
  readonly files: readonly [string, ...string[]];
  readonly #projectDir: string;
  /** Once there was a file, a missing one is an error: an editor's pause between unlink and write must not open the mesh. */
  #file: string | null;
  #last: { key: string; loaded: LoadedSpec } | null = null;

  constructor({ projectDir, meshFile }: SpecSourceOptions) {
    this.#projectDir = projectDir;
    this.#file = meshFile;
    const [first = "mesh.yaml", ...rest] = specFileNames;
    this.files =
      meshFile === null ? [join(projectDir, first), ...rest.map((name) => join(projectDir, name))] : [meshFile];
  }

  /** The file in use as people know it, or null. */
  get file(): string | null {
    return this.#file === null ? null : this.#shownAs(this.#file);
  }

  /** Never throws for what is in the file. Equal text and known services give the identical value. */
  async read(knownServices: readonly string[] | null): Promise<LoadedSpec> {
    for (const file of this.#file === null ? this.files : [this.#file]) {
      const shownAs = this.#shownAs(file);
      const read = await readSpecText(file, shownAs);
      if (read.kind === "invalid" && this.#file === null && isMissing(read)) continue;
      this.#file = file;
      const key = JSON.stringify([file, read, knownServices]);
      return this.#remember(key, () =>
        read.kind === "text" ? loadSpec(read.text, { file: shownAs, knownServices }) : read,
      );
    }
    return this.#remember("", () => ({ kind: "ok", spec: defaultSpec, warnings: [], file: null }));
  }

  #remember(key: string, load: () => LoadedSpec): LoadedSpec {
    if (this.#last?.key !== key) this.#last = { key, loaded: load() };
    return this.#last.loaded;
  }

  /** As people know it: relative to the project, where it lies in there. */
  #shownAs(file: string): string {
    const path = relative(this.#projectDir, file);
    return path.startsWith("..") || isAbsolute(path) ? file : path || basename(file);
  }
}

function isMissing(read: LoadedSpec & { kind: "invalid" }): boolean {
  return read.diagnostics.every(({ code }) => code === "DM1001");
}
