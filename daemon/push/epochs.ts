// Epochs of control channels: each greater than any that a daemon of this mesh ever used, even when the clock steps back.
import * as z from "zod";
import { readJson } from "../state/store.ts";
import type { StateWriter } from "../state/writer.ts";

/** Reserved ahead, so that the file is written once a minute and not once a connection. */
const reservedAhead = 60_000;

export interface Epochs {
  next(): Promise<number>;
}

/**
 * `now` is the wall clock in milliseconds. A new daemon starts beyond everything that an old one had reserved. A disk that
 * takes nothing keeps no proxy from its config: the clock alone is beyond what is on it, unless it steps back.
 */
export async function openEpochs(file: string, now: () => number, writer: StateWriter): Promise<Epochs> {
  let last = (await readJson(file, z.object({ reserved: z.number().int().nonnegative() })))?.reserved ?? 0;
  let reserved = last;
  let writing: Promise<void> = Promise.resolve();
  return {
    async next() {
      last = Math.max(last + 1, now());
      const epoch = last;
      if (epoch > reserved) {
        reserved = epoch + reservedAhead;
        writing = writer.write(file, { reserved }).catch(() => undefined);
      }
      await writing;
      return epoch;
    },
  };
}
