// Which containers this mesh has paused: on disk before each pause, so that no killed daemon leaves one frozen for good.
import * as z from "zod";
import type { PauseJournal } from "../docker/hold.ts";
import { readJson } from "./store.ts";
import type { StateWriter } from "./writer.ts";

/** Not flushed to the disk: after a power cut nothing is paused any more, and a held container waits for this. */
export async function openPauseJournal(file: string, writer: StateWriter): Promise<PauseJournal> {
  const paused = new Set((await readJson(file, z.array(z.string()))) ?? []);
  const write = (): Promise<void> => writer.write(file, [...paused], { isFlushed: false });
  return {
    async add(containerId) {
      paused.add(containerId);
      try {
        await write();
      } catch (error) {
        // It will not be paused by us: if somebody else pauses it, that is not for us to undo.
        paused.delete(containerId);
        write().catch(() => undefined);
        throw error;
      }
    },
    async remove(containerId) {
      // It runs again whether or not this gets to the disk; the next daemon would at worst unpause what is not paused.
      if (paused.delete(containerId)) await write().catch(() => undefined);
    },
    async list() {
      return [...paused];
    },
  };
}
