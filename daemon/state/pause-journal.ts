// Which containers this mesh has paused: on disk before each pause, so that no killed daemon leaves one frozen for good.
import * as z from "zod";
import type { PauseJournal } from "../docker/hold.ts";
import { readJson, writeJson } from "./store.ts";

/** Not flushed to the disk: after a power cut nothing is paused any more, and a held container waits for this. */
export async function openPauseJournal(file: string): Promise<PauseJournal> {
  const paused = new Set((await readJson(file, z.array(z.string()))) ?? []);
  let writing: Promise<void> = Promise.resolve();
  // One write after the other: each holds everything, and the last one must win.
  const write = (): Promise<void> => {
    writing = writing.catch(() => undefined).then(() => writeJson(file, [...paused], { isFlushed: false }));
    return writing;
  };
  return {
    async add(containerId) {
      paused.add(containerId);
      await write();
    },
    async remove(containerId) {
      if (paused.delete(containerId)) await write();
    },
    async list() {
      return [...paused];
    },
  };
}
