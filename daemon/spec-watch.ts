// Notices edits of mesh.yaml: the folder is watched, since editors replace the file, and a poll covers mounts without events.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { type FSWatcher, watch } from "chokidar";

export const pollEveryMs = 2_000;

export interface SpecWatchOptions {
  /** Absolute paths in one folder: mesh.yaml, or the names that it may have. They need not exist. */
  readonly files: readonly [string, ...string[]];
  /** May come more often than the file changes. */
  onChange(): void;
  onError(error: unknown): void;
  readonly pollMs?: number;
}

export class SpecWatch implements AsyncDisposable {
  readonly #options: SpecWatchOptions;
  readonly #watcher: FSWatcher;
  readonly #poll: NodeJS.Timeout;
  readonly ready: Promise<void>;
  #seen = "";
  #isPolling = false;

  constructor(options: SpecWatchOptions) {
    this.#options = options;
    const folder = dirname(options.files[0]);
    const wanted = new Set(options.files.map((file) => basename(file)));
    this.#watcher = watch(folder, {
      depth: 0,
      ignoreInitial: true,
      ignorePermissionErrors: true,
      // Its merging of unlink and add would cost 100 ms; a file that is gone for a moment is read at the next event.
      atomic: false,
      ignored: (path) => path !== folder && !wanted.has(basename(path)),
    });
    const { promise, resolve } = Promise.withResolvers<void>();
    this.ready = promise;
    this.#watcher.on("ready", resolve);
    this.#watcher.on("all", () => options.onChange());
    // The system's own events, before chokidar has looked what they mean: the quickest that there is.
    this.#watcher.on("raw", (_event, path) => {
      if (typeof path !== "string" || wanted.has(basename(path))) options.onChange();
    });
    this.#watcher.on("error", (error) => options.onError(error));
    this.#poll = setInterval(() => void this.#look(), options.pollMs ?? pollEveryMs);
    void this.#look();
  }

  async #look(): Promise<void> {
    if (this.#isPolling) return;
    this.#isPolling = true;
    try {
      const hash = createHash("sha256");
      for (const file of this.#options.files) hash.update(await readFile(file).catch((error) => String(error.code)));
      const now = hash.digest("hex");
      if (this.#seen !== "" && this.#seen !== now) this.#options.onChange();
      this.#seen = now;
    } finally {
      this.#isPolling = false;
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#poll);
    await this.#watcher.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
